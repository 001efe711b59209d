"""Measures a test: what is known of it, the meters, its stages, and what they need."""
