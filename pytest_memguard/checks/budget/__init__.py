"""Budgets: limits on the memory of a test that the user sets."""
