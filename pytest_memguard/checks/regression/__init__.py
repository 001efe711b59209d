"""Regressions: tests that use more than a baseline has of them."""
