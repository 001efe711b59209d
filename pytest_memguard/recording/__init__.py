"""Puts probes around code: stages, phases, and the calls of a leak check."""
