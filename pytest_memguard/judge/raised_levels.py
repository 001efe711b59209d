"""Which tests raised the level of a process for good, from the levels between tests.

A test raised the level for good by what the level never fell below again. When the level
falls, that is counted against the tests that raised it last. So the parts of all tests, and
what no test raised, add up to the last level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.model.flights import Flight, Span
from pytest_memguard.values import dataclass

KEPT_SPANS: Final = 20
"""Number of tests that a shortened record keeps by name."""


class RaisedLevels:
    """Follows the level of a process from test to test.

    Args:
        level: resident bytes at the beginning.

    Attributes:
        level: resident bytes now.
        spans: what was raised and has not fallen since, from the bottom.
    """

    def __init__(self, level: int) -> None:
        self.level = level
        self.spans: list[Span] = []

    def move(self, level: int, nodeid: str, tests: int = 1) -> None:
        """Note that the level is another one now.

        Args:
            level: resident bytes.
            nodeid: the test in which it moved; empty for none, or for several.
            tests: number of tests.
        """
        if level > self.level:
            self.spans.append(Span(low=self.level, high=level, nodeid=nodeid, tests=tests))
        while self.spans and self.spans[-1].high > level:
            last = self.spans.pop()
            if last.low < level:
                self.spans.append(replace(last, high=level))
        self.level = level


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a flight record says about the course of a process."""

    spans: tuple[Span, ...]
    """What was raised for good, from the bottom."""
    level: int
    """The last level, in resident bytes."""
    highest: int
    """Highest resident bytes by then."""
    time: float
    """Seconds since 1970 of the last line."""
    tests: int
    """Number of tests that have ended."""
    running: str
    """The test that was running; empty if there was none."""


def course_of(flight: Flight) -> Course:
    """Return the course of a process.

    Args:
        flight: its flight record.
    """
    levels = RaisedLevels(flight.level)
    running, tests = "", flight.tests
    highest, time = flight.highest, flight.time
    for line in flight.lines:
        if line.kind == "raised":
            levels.move(line.low, "", 0)
            levels.move(line.level, line.nodeid, line.tests)
            continue
        highest, time = line.highest, line.time
        if running:
            tests += 1  # a start behind a start: the end of a test went unnoticed
        levels.move(line.level, running, 1 if running else 0)
        running = line.nodeid if line.kind == "start" else ""
    return Course(
        spans=tuple(levels.spans),
        level=levels.level,
        highest=highest,
        time=time,
        tests=tests,
        running=running,
    )


def shortened(spans: Sequence[Span], most: int = KEPT_SPANS) -> list[Span]:
    """Return the same ranges with fewer names: neighbours that are not large become one.

    Args:
        spans: what was raised for good, from the bottom.
        most: the number of tests that keep their names.
    """
    named = [span for span in spans if span.nodeid]
    large = set(sorted(named, key=lambda span: span.size, reverse=True)[:most])
    kept: list[Span] = []
    for span in spans:
        last = kept[-1] if kept else None
        if span in large or last is None or last in large or last.high != span.low:
            kept.append(span if span in large else replace(span, nodeid=""))
        else:
            kept[-1] = replace(last, high=span.high, tests=last.tests + span.tests)
    return kept
