"""Tests of what makes readings reproducible, with processes and clocks that tests control."""
