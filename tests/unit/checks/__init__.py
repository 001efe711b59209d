"""Tests of checks: what they plan, and what they make of what was measured."""
