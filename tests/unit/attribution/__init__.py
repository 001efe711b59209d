"""Tests of the attribution of memory to lines."""
