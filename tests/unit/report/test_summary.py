"""Tests of the memory section, whole, against the files in tests/gold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.measurements import (
    Budget,
    CallSite,
    Finding,
    PhaseReading,
    StageReading,
)
from pytest_memguard.model.results import Outcome, Totals
from pytest_memguard.report.summary import by_peak, memory_section, notes
from pytest_memguard.sizes import MIB
from tests.support.gold_files import gold
from tests.support.sample_values import RUN, heap, rss

BUDGET = Budget(limit=200 * MIB, where="the marker")
OVER = Finding(rule="over-budget", budget=BUDGET, peak=rss(212), text="it is over")
NEAR = replace(OVER, rule="near-budget", text="it is close")
SITE = CallSite(
    file="src/rows.py", line=41, function="load_rows", size=96 * MIB, count=12, kept=MIB
)
STAGE = StageReading(
    path="load",
    count=1,
    delta=90 * MIB,
    cumul=90 * MIB,
    seconds=0.5,
    peaks=(rss(120),),
    lines=(SITE,),
)
ALL = Totals(
    worker="",
    tests=1_234,
    start=40 * MIB,
    end=55 * MIB,
    highest=1536 * MIB,
    overhead=0.074,
)


def section_text(*args) -> str:
    """The memory section, without the shares of its lines."""
    return "\n".join(line.text for line in memory_section(*args))


def outcome(name, *peaks, **more) -> Outcome:
    """A test with these peaks in its call."""
    call = PhaseReading(name="call", seconds=0.5, level=MIB, growth=MIB, peaks=peaks)
    return Outcome(nodeid=f"test_a.py::{name}", phases=(call,), **more)


SMALL, MIDDLE, LARGE = (
    outcome("test_small", rss(1), overhead=60e-6),
    outcome("test_middle", rss(20), budgets=(BUDGET,), overhead=0.001_25),
    outcome(
        "test_large",
        rss(212),
        budgets=(BUDGET,),
        stages=(STAGE,),
        findings=(OVER,),
        overhead=0.07,
    ),
)


def run(outcomes, *totals):
    """A run of these tests."""
    return replace(RUN, outcomes=tuple(outcomes), totals=totals)


@pytest.mark.parametrize(
    ("given", "top", "name"),
    [
        pytest.param(run([SMALL, MIDDLE, LARGE], ALL), 10, "section", id="all-shown"),
        pytest.param(run([SMALL, MIDDLE, LARGE], ALL), 3, "section", id="just-enough-room"),
        pytest.param(run([SMALL, MIDDLE, LARGE], ALL), 1, "section_top", id="not-all-shown"),
        pytest.param(
            run(
                [replace(SMALL, worker="gw0")],
                replace(ALL, worker="gw0", tests=1, overhead=1.5),
                replace(ALL, worker="gw1", tests=0, overhead=0.0),
                ALL,
            ),
            10,
            "section_workers",
            id="workers",
        ),
        pytest.param(run([], replace(ALL, tests=0)), 10, "section_empty", id="no-tests"),
    ],
)
def test_memory_section(given, top, name) -> None:
    """The section has the largest tests, every test's stages, and the sums."""
    assert gold(name) == section_text(given.outcomes, given.totals, top)


def test_memory_section_of_outcomes_that_are_seen_once() -> None:
    """Outcomes may come one by one, in any order, and most of them are not kept."""
    given = run([LARGE, MIDDLE, SMALL], ALL)
    text = section_text(given.outcomes, given.totals, 2)
    assert text == section_text(iter(reversed(given.outcomes)), given.totals, 2)
    assert "(1 more;" in text
    assert "more;" not in section_text(iter(given.outcomes), given.totals, 3)


def test_shares() -> None:
    """A line of a test with a budget has the share of it that was used, for its colour."""
    shares = [line.share for line in memory_section([LARGE, MIDDLE, SMALL], [ALL], 3)]
    assert shares[:5] == [None, None, 1.06, 0.1, None]


def test_legend() -> None:
    """A peak with an upper bound has a legend below the table."""
    bounded = outcome("test_bounded", rss(20, 60))
    text = section_text([bounded], [ALL], 3)
    assert "20.0 (<= 60.0)" in text
    assert text.count("(<= N): the peak may have been up to N; ") == 1
    assert "(<= N)" not in section_text([SMALL], [ALL], 3)


def test_by_peak() -> None:
    """Tests stand by the highest resident peak of any phase, then by name."""
    setup = PhaseReading(name="setup", seconds=0.0, level=0, growth=0, peaks=(rss(30),))
    by_setup = replace(outcome("test_setup", rss(2)), phases=(setup, *SMALL.phases))
    by_heap = outcome("test_heap", rss(3), heap(900))
    nothing = [Outcome(nodeid="b"), Outcome(nodeid="a")]
    assert [by_setup, MIDDLE, by_heap, SMALL, *reversed(nothing)] == by_peak(
        [*nothing, SMALL, by_heap, MIDDLE, by_setup], 6
    )


LINE = "test_a.py::test_x: it is over (over-budget)"


@pytest.mark.parametrize(
    ("raised", "with_failures", "lines"),
    [
        pytest.param(True, False, [], id="failed"),
        pytest.param(False, False, [LINE], id="it-only-warned"),
        pytest.param(True, True, [LINE], id="failed-without-failure-text"),
        pytest.param(False, True, [LINE], id="it-only-warned-without-failure-text"),
    ],
)
def test_breaches_among_the_notes(raised, with_failures, lines) -> None:
    """A breach that a test has failed with is not repeated."""
    given = outcome("test_x", findings=(replace(OVER, raised=raised),), result="failed")
    assert lines == notes([given], with_failures=with_failures)


def test_notes_and_findings() -> None:
    """All other findings are reported, a line each, behind the test's name."""
    raised = replace(OVER, raised=True)
    given = [
        outcome("test_x", findings=(raised, NEAR), notes=("setup rose",)),
        SMALL,
        outcome("test_y", notes=("a stage was never left", "so it was")),
    ]
    assert notes(given, with_failures=False) == [
        "test_a.py::test_x: it is close (near-budget)",
        "test_a.py::test_x: setup rose",
        "test_a.py::test_y: a stage was never left",
        "test_a.py::test_y: so it was",
    ]


@pytest.mark.parametrize(
    ("count", "last"),
    [
        pytest.param(20, "test_a.py::test_19: note", id="as-many-as-there-is-room-for"),
        pytest.param(21, "... and 1 more; --mem-json PATH keeps all of them", id="one-more"),
        pytest.param(520, "... and 500 more; --mem-json PATH keeps all of them", id="many"),
    ],
)
def test_many_notes(count, last) -> None:
    """After twenty lines the rest is only counted."""
    given = [outcome(f"test_{number}", notes=("note",)) for number in range(count)]
    lines = notes(given, with_failures=False)
    assert [f"test_a.py::test_{number}: note" for number in range(20)] == lines[:20]
    assert last == lines[-1]
    assert min(count, 21) == len(lines)


def test_a_test_counts_with_its_children() -> None:
    """A test that works in children comes before one that uses as much as they do alone."""
    worker = outcome("test_worker", rss(100), replace(rss(150), metric="children"))
    alone = outcome("test_alone", rss(200))
    assert [worker, alone] == by_peak([alone, worker], 2)
