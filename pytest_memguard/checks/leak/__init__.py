"""Leaks: tests that keep more memory, or more of another resource, with every call."""
