"""Holds tests to hard budgets."""
