"""Puts probes around code, in time."""
