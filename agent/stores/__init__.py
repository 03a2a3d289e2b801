"""Adapters to evidence stores: what speaks tus, what is a mounted directory, and how their proofs are checked."""
