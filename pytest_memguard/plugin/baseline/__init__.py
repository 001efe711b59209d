"""Compares runs with a baseline, and stores it."""
