"""Reads and writes what outlives a run: the baseline, the history, known leaks, logs."""
