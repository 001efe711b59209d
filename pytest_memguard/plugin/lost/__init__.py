"""Finds out why a worker or a run was lost, and stops runs in time."""
