"""Measures tests again in a process in which no test has run."""
