"""Tests of which tests raised the level of a process for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_memguard.judge.raised_levels import RaisedLevels, course_of, shortened
from pytest_memguard.model.flights import Flight, FlightLine, Span


def flight(level, *lines, tests=0) -> Flight:
    """A record: tests are (name, level at the start, level at the end or None)."""
    made: list[FlightLine] = []
    for name, start, end in lines:
        made.append(FlightLine(kind="start", level=start, nodeid=name, time=1.0))
        if end is not None:
            made.append(FlightLine(kind="end", level=end, time=2.0))
    return Flight(path="gw0.flight", pid=1, level=level, tests=tests, lines=tuple(made))


def amounts(spans) -> list[tuple[str, int]]:
    """Bytes that each test raised, by name."""
    return [(span.nodeid, span.size) for span in spans]


@pytest.mark.parametrize(
    ("record", "raised"),
    [
        pytest.param(flight(50), [], id="no-test"),
        pytest.param(flight(50, ("a", 50, 90), ("b", 90, 95)), [("a", 40), ("b", 5)], id="two"),
        pytest.param(flight(50, ("a", 60, 90)), [("", 10), ("a", 30)], id="before-the-first"),
        pytest.param(
            flight(50, ("a", 50, 90), ("b", 95, 95)), [("a", 40), ("", 5)], id="between"
        ),
        pytest.param(flight(50, ("a", 50, 90), ("b", 90, 70)), [("a", 20)], id="given-back"),
        pytest.param(flight(50, ("a", 50, 90), ("b", 60, 60)), [("a", 10)], id="freed-between"),
        pytest.param(
            flight(50, ("a", 50, 90), ("b", 90, 120), ("c", 120, 100)),
            [("a", 40), ("b", 10)],
            id="the-last-first",
        ),
        pytest.param(
            flight(50, ("a", 50, 40), ("b", 40, 60)), [("b", 20)], id="below-the-start"
        ),
        pytest.param(flight(50, ("a", 60, None)), [("", 10)], id="running"),
        pytest.param(
            flight(50, ("a", 50, None), ("b", 80, 80)), [("a", 30)], id="end-went-unnoticed"
        ),
    ],
)
def test_raised(record, raised) -> None:
    """A test has what it raised and the level never fell below again."""
    assert raised == amounts(course_of(record).spans)


@pytest.mark.parametrize(
    ("record", "running", "tests", "level"),
    [
        pytest.param(flight(50), "", 0, 50, id="no-test"),
        pytest.param(flight(50, ("a", 55, None)), "a", 0, 55, id="running"),
        pytest.param(flight(50, ("a", 55, 70)), "", 1, 70, id="ended"),
        pytest.param(flight(50, ("a", 55, None), ("b", 60, None)), "b", 1, 60, id="no-end"),
        pytest.param(flight(50, ("a", 55, 70), tests=400), "", 401, 70, id="shortened"),
    ],
)
def test_course(record, running, tests, level) -> None:
    """The test that was running, the number before it and the last level are known."""
    course = course_of(record)
    assert (running, tests, level) == (course.running, course.tests, course.level)


LEVELS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=30)


@given(LEVELS)
def test_parts_add_up(levels) -> None:
    """The ranges lie upon each other without gaps, up to the last level."""
    record = flight(20, *((f"t{n}", start, end) for n, (start, end) in enumerate(levels)))
    course = course_of(record)
    borders = [span.high for span in course.spans]
    assert borders[:-1] == [span.low for span in course.spans[1:]]
    assert not borders or borders[-1] == course.level
    assert all(span.size > 0 for span in course.spans)


@given(LEVELS, LEVELS, st.integers(1, 5))
def test_a_shortened_record_ends_alike(before, after, most) -> None:
    """After a record is shortened, the sums of the named tests change as without that."""
    whole, short = RaisedLevels(20), RaisedLevels(20)
    for n, (_, level) in enumerate(before):
        whole.move(level, f"t{n}")
        short.move(level, f"t{n}")
    short.spans = shortened(short.spans, most)
    named = {span.nodeid for span in short.spans if span.nodeid}
    for n, (_, level) in enumerate(after):
        whole.move(level, f"u{n}")
        short.move(level, f"u{n}")
    late = {f"u{n}" for n in range(len(after))}
    expected = [pair for pair in amounts(whole.spans) if pair[0] in named | late]
    assert expected == [pair for pair in amounts(short.spans) if pair[0]]
    assert sum(span.size for span in whole.spans) == sum(span.size for span in short.spans)


def test_shortened() -> None:
    """Ranges between the large ones become one, which knows the number of tests."""
    spans = [
        Span(low=0, high=1, nodeid="a"),
        Span(low=1, high=3, nodeid="", tests=0),
        Span(low=3, high=90, nodeid="b"),
        Span(low=90, high=92, nodeid="c"),
        Span(low=92, high=93, nodeid="", tests=4),
    ]
    assert [
        Span(low=0, high=3, nodeid="", tests=1),
        Span(low=3, high=90, nodeid="b"),
        Span(low=90, high=93, nodeid="", tests=5),
    ] == shortened(spans, 1)
