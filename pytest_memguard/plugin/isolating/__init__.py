"""Runs tests in processes of their own."""
