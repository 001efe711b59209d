"""Keeps what a run finds: results in memory, baselines, histories and leaks in files."""
