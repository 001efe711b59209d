"""Runs code in forked processes, and talks to them."""
