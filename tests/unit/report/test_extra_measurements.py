"""Tests of the lines about tests that took more than the high-water mark."""

from __future__ import annotations

from pytest_memguard.report.extra_measurements import (
    again_in_words,
    breaches_in_words,
    tracked_in_words,
)
from pytest_memguard.sizes import MIB

WHY = "earlier tests had left memory free that could hide the peak"


def test_nothing_to_say() -> None:
    """For a run in which the mark was enough, there are no lines."""
    assert tracked_in_words([], 10) + again_in_words([]) + breaches_in_words([], []) == []


def test_tracked() -> None:
    """How many tests, how long, which part of the run, why, and what avoids it."""
    took = "memray ran in 1 test for 500.0 ms, 5.0% of the run's time"
    assert [
        f"{took}: {WHY} (--mem-tracker-share)",
        "  a budget of 31.0 MiB avoids it for t.py::test_a",
    ] == tracked_in_words([("t.py::test_a", 0.5, 31 * MIB)], 10)


def test_measured_again() -> None:
    """Only the largest budgets are named; a test with two budgets counts once."""
    tests = [(f"t.py::test_{n}", 0.1, n * MIB) for n in range(1, 6)]
    assert [
        f"measured again in a fresh process: 5 tests, 600.0 ms: {WHY} (--mem-confirm)",
        "  a budget of 5.0 MiB avoids it for t.py::test_5",
        "  a budget of 4.0 MiB avoids it for t.py::test_4",
        "  a budget of 3.0 MiB avoids it for t.py::test_3",
        "  ... and smaller ones for 2 more tests",
    ] == again_in_words([*tests, ("t.py::test_1", 0.1, MIB)])


def test_breaches() -> None:
    """The time is named where it was long, and tests for which there was none always are."""
    quick, slow = ("t.py::test_a", 0.4, MIB), ("t.py::test_b", 0.7, MIB)
    assert breaches_in_words([quick], []) == []
    took = (
        "measured again in a fresh process: 2 tests, 1.10 s: above the budget (--mem-confirm)"
    )
    refused = "not measured again: 1 test above the budget, for which there was no time left"
    assert [took, f"{refused} (--mem-confirm-share)"] == breaches_in_words(
        [quick, slow], [quick]
    )
