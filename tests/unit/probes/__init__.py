"""Tests of what the probes make of the system's answers."""
