"""Tests of the judges: numbers in, findings out."""
