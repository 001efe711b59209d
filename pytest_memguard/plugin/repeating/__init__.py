"""Repeats tests to look for leaks."""
