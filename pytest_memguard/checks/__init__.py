"""Reasons to measure tests, a folder for each; none of them knows another, or pytest."""
