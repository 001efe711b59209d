"""What the tests of the leak check share: flags that keep them quick, and short ways to ask."""

from __future__ import annotations

from typing import Any

QUICK = ("--mem-leak-calls=120", "--mem-leak-blame=none")
"""Enough calls for a verdict on the leaks of these tests, and no search for who did it."""
CHECK = ("--mem-leak-check", *QUICK)
"""Check every test."""
JSON = "--mem-json=out.json"
IMPATIENT = """
    from pytest_memguard.recording import slow_to_end

    slow_to_end._LONGEST = 1.0
"""
"""A conftest.py with which a check waits a second, not five, for threads that may end."""
KEEP = """
    import pytest

    KEPT = []

    def made():
        return object()

    def keep():
        KEPT.append([made() for _ in range(20)])
"""
"""The top of a file with tests: `keep` leaks."""


def states(tests: dict[str, Any]) -> dict[str, str]:
    """The verdict on every test that was checked, by its function's name.

    Settling is told as clean here: neither fails, and which of the two a test is may depend
    on what its process has done before.
    """
    return {
        name: test["leak"]["verdict"]["state"].replace("settling", "clean")
        for name, test in sorted(tests.items())
        if test["leak"] is not None
    }
