"""Rounds of calls to test the leak rule with."""

from __future__ import annotations

from pytest_memguard.model.leaks import Round


def a_round(calls, **growth) -> Round:
    """A round; underscores in names of signals stand for spaces."""
    moved = ((signal.replace("_", " "), by) for signal, by in growth.items())
    return Round(calls=calls, growth=tuple(moved))


def series(*moved, calls=3, signal="blocks") -> tuple[Round, ...]:
    """Rounds of the same number of calls in which one signal moved so far."""
    return tuple(Round(calls=calls, growth=((signal, by),)) for by in moved)
