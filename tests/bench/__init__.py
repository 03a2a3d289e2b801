"""Measurements with a bar each; started by scripts/bench."""
