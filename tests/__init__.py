"""Tests of the dock agent, laid out like the package they test."""
