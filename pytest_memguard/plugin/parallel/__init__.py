"""Shares the memory between tests that run at the same time."""
