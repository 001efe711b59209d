"""Tests of the files that outlive a run."""
