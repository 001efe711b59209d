"""Random histories of tests, each judged by what its tests use alone."""
