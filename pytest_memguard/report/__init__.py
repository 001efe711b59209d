"""Turns findings and results into text; touches nothing that runs."""
