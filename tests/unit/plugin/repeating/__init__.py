"""Tests of repeating."""
