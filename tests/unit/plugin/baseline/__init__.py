"""Tests of baseline."""
