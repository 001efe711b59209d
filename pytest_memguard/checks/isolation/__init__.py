"""Isolation: which tests run in processes of their own, and what these may use."""
