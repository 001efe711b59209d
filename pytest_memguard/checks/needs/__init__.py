"""The needs check: a test fails if it declares another need of memory than it has."""
