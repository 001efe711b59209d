"""Tests of the report of a comparison: the table, the counts, and a regression's text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.baselines import Change, EnvironmentKey, LineEntry
from pytest_memguard.report.changes import (
    change_headline,
    changes_table,
    counts_line,
    environment_text,
    grown_table,
    metric_text,
    regression_text,
)
from pytest_memguard.sizes import MIB
from tests.support.gold_files import gold

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.11"
)


def change(kind, nodeid, before=0.0, now=0.0, **fields) -> Change:
    """A change between two sizes in MiB."""
    environment = fields.pop("environment", PLACE)
    return Change(
        kind=kind,
        nodeid=nodeid,
        environment=environment,
        before=int(before * MIB),
        now=int(now * MIB),
        **fields,
    )


LINES = (
    (
        LineEntry(file="app/load.py", function="load", line=7, size=10 * MIB),
        LineEntry(file="app/load.py", function="load", line=9, size=30 * MIB),
    ),
    (None, LineEntry(file="json", function="<lambda>", line=0, size=2 * MIB)),
)
CHANGES = (
    change("same", "t.py::same", 5, 5),
    change("gone", "t.py::gone", 3),
    change("new", "t.py::new", now=4),
    change("regression", "t.py::a", 10, 12.5),
    change("regression", "t.py::b", 10, 30, text="it grew", lines=LINES),
    change(
        "regression", "t.py::b", 5, 25, subject="stage", stage="load", text="its stage grew"
    ),
    change("improvement", "t.py::heap", 10, 5, environment=replace(PLACE, metric="heap")),
    change("undecided", "t.py::cold", 0, 5),
    Change(
        kind="regression",
        nodeid="t.py::leak",
        environment=PLACE,
        subject="leak",
        before=100,
        now=250,
    ),
)


def test_table() -> None:
    """Regressions come first, the largest first; each kind has its numbers and its word."""
    assert gold("changes_table") == changes_table(CHANGES)
    assert gold("changes_table") == changes_table(CHANGES[::-1])


def test_table_with_a_top() -> None:
    """Changes beyond the top are counted."""
    table = changes_table(CHANGES, 2)
    shown = [line.split()[0] for line in table.splitlines()[2:]]
    assert shown == ["t.py::b", "t.py::b", "(6"]
    assert table.splitlines()[-1] == "(6 more)"


def test_empty_table() -> None:
    """Where nothing changed there is no table."""
    assert changes_table(CHANGES[:1]) == ""
    assert changes_table(()) == ""


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param((), "no test", id="none"),
        pytest.param(CHANGES[:1], "1 test: 1 the same", id="one"),
        pytest.param(
            CHANGES,
            "8 tests: 3 regressions, 1 undecided, 1 improvement, 1 new, 1 gone, 1 the same",
            id="all",
        ),
        pytest.param(
            (change("same", "t"), change("undecided", "t", subject="stage", stage="load")),
            "1 test: 1 undecided",
            id="the-worst-of-each",
        ),
    ],
)
def test_counts(changes, line) -> None:
    """Every test is counted once, by the worst that is said of it."""
    assert line == counts_line(changes)


def test_text() -> None:
    """A regression's text has a line for each thing that grew, then the lines of code."""
    assert gold("regression") == regression_text([CHANGES[4], CHANGES[5]])


def test_headline_without_lines() -> None:
    """Without lines a headline is the sentence and the slug."""
    assert change_headline(CHANGES[5]) == "its stage grew (regression)"


def test_headline_with_a_new_line() -> None:
    """A line that was not there before grew from nothing."""
    headline = change_headline(change("regression", "t", text="it grew", lines=LINES[1:]))
    assert (
        headline == "it grew; <lambda>, json, grew most, from nothing to 2.0 MiB (regression)"
    )


def test_lines_without_numbers() -> None:
    """A file without a line number stands alone."""
    assert grown_table(LINES[1:]).splitlines()[2].split() == [
        *("-", "2.0", "+2.0", "<lambda>", "json"),
    ]


def test_places() -> None:
    """Environments and metrics are named in words, unknown ones too."""
    assert environment_text(PLACE) == "CPython 3.11 on Linux x86_64"
    assert [metric_text(name) for name in ("rss", "heap", "gpu")] == [
        *("peak RSS", "peak heap", "peak of gpu"),
    ]
