"""Tests of the list of the largest tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.measurements import Budget, CallSite, Finding, PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.top_list import largest_site, top_lines
from pytest_memguard.sizes import MIB
from tests.support.sample_values import rss

SITE = CallSite(file="src/rows.py", line=7, function="load", size=150 * MIB, count=3)
SMALLER = CallSite(file="src/rows.py", line=9, function="sort", size=20 * MIB, count=1)


def outcome(name: str, mib: float, *sites: CallSite) -> Outcome:
    """A test with a peak, and findings with their largest lines."""
    call = PhaseReading(name="call", seconds=0.1, level=MIB, growth=0, peaks=(rss(mib),))
    budget = Budget(limit=100 * MIB, where="the marker")
    findings = [Finding(rule="over-budget", budget=budget, sites=(site,)) for site in sites]
    return Outcome(nodeid=f"t.py::{name}", phases=(call,), findings=tuple(findings))


def test_bars_and_lines() -> None:
    """Bars compare the peaks; the largest line, where it is known, is below its test."""
    shown = [outcome("test_a", 200, SITE), outcome("test_b", 100), outcome("test_c", 1)]
    assert [line.text for line in top_lines(shown, 80)] == [
        "Peak MiB          Test",
        "--------  ------  ------------",
        "   200.0  ######  t.py::test_a",
        "  largest: load, src/rows.py:7, 150.0 MiB",
        "   100.0  ###     t.py::test_b",
        "     1.0  #       t.py::test_c",
    ]


def test_the_bar_is_for_the_highest_phase() -> None:
    """The bars get shorter from line to line, in the order of the highest phases."""
    low = outcome("test_a", 10)
    setup = PhaseReading(name="setup", seconds=0.1, level=MIB, growth=0, peaks=(rss(30),))
    low = replace(low, phases=(setup, *low.phases))
    lines = top_lines([low, outcome("test_b", 20)], 80)
    assert [line.text.count("#") for line in lines[2:]] == [6, 4]


def test_one_test_has_no_bar() -> None:
    """A single test has no bar, since there is nothing to compare it with."""
    assert top_lines([outcome("test_a", 2)], 80)[-1].text == "     2.0  t.py::test_a"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_largest_line_fits(width) -> None:
    """A long path is shortened in the middle."""
    long = CallSite(file="src/" + "a" * 200 + ".py", line=7, function="f", size=MIB, count=1)
    lines = top_lines([outcome("test_a", 2, long)], width)
    assert len(lines[-1].text) <= width
    assert lines[-1].text.endswith(".py:7, 1.0 MiB")


def test_nothing_was_measured() -> None:
    """Tests whose peaks are all below 1 MiB, or that were not measured, have no bars."""
    bare = Outcome(nodeid="t.py::test_b")
    assert "#" not in "".join(x.text for x in top_lines([outcome("test_a", 0.9), bare], 80))
    assert "#" in "".join(x.text for x in top_lines([outcome("test_a", 1), bare], 80))
    assert top_lines([], 80) == []


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        pytest.param((), None, id="not-known"),
        pytest.param((SMALLER, SITE), SITE, id="the-largest-of-all-findings"),
    ],
)
def test_largest_site(sites, expected) -> None:
    """Findings know the lines; those of the heap may be others than those of RSS."""
    assert largest_site(outcome("test_a", 2, *sites)) is expected
