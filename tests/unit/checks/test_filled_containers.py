"""Tests of the note on containers that the leak check of an earlier test has filled."""

from __future__ import annotations

import pytest

from pytest_memguard.checks.leak.filled import FilledContainers
from pytest_memguard.model.leaks import Diagnosis, LeakReading, RetentionPath, Verdict


def leak(holder: str, calls: int = 1400) -> LeakReading:
    """A leak that a holder keeps; nothing holds it if that is empty."""
    path = RetentionPath(steps=("module app",), holder=holder) if holder else None
    return LeakReading(
        verdict=Verdict(state="leaking", calls=calls),
        diagnosis=Diagnosis(calls=16, path=path),
        calls=calls,
    )


def notes(reading: LeakReading) -> tuple[str, ...]:
    """The notes of its first leak."""
    assert reading.diagnosis is not None
    return reading.diagnosis.notes


NOTE = (
    (
        "each of 1,400 calls in the leak check of test_it.py::test_a left something in "
        "app.SUBSCRIBERS, which may be why"
    ),
)


@pytest.mark.parametrize(
    ("holder", "test", "expected"),
    [
        pytest.param("app.SUBSCRIBERS[...]", "test_b", NOTE, id="an-item"),
        pytest.param("app.SUBSCRIBERS[...].log", "test_b", NOTE, id="below-an-item"),
        pytest.param("app.SUBSCRIBERS[...]", "test_a", (), id="the-same-test"),
        pytest.param("app.SUBSCRIBERS", "test_b", (), id="the-same-leak"),
        pytest.param("app.SUBSCRIBERS['log']", "test_b", (), id="an-entry-of-the-source"),
        pytest.param("app.OTHERS[...]", "test_b", (), id="another-container"),
        pytest.param("", "test_b", (), id="nothing-holds-it"),
    ],
)
def test_leaks_in_items_of_a_container(holder, test, expected) -> None:
    """A leak in items that another test has left names that test."""
    filled = FilledContainers()
    first = filled.noted(leak("app.SUBSCRIBERS"), "test_it.py::test_a")
    assert notes(first) == ()
    assert expected == notes(filled.noted(leak(holder, 21), f"test_it.py::{test}"))
