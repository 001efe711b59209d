"""Tests of the reports, whole outputs against files in tests/gold."""
