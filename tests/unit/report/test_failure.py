"""Tests of the text of a failure, whole, against the files in tests/gold."""

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
from pytest_memguard.report.failure import (
    describe_site,
    failure_text,
    headline,
    stage_lines,
)
from pytest_memguard.sizes import KIB, MIB
from tests.support.gold_files import gold
from tests.support.sample_values import rss

SITE = CallSite(file="src/rows.py", line=41, function="load_rows", size=96 * MIB, count=12)
NATIVE = CallSite(
    file="<no Python frame>", line=0, function="native code", size=300 * KIB, count=1
)
BUDGET = Budget(limit=200 * MIB, where="the marker")
ADVICE = "The lines are those of a second run in a forked child."
OVER = Finding(
    rule="over-budget",
    budget=BUDGET,
    peak=rss(212.4),
    text="peak RSS 212.4 MiB is 12.4 MiB over the budget of 200.0 MiB set by the marker",
    sites=(SITE, NATIVE),
    advice=ADVICE,
)
SECOND = replace(
    OVER,
    budget=replace(BUDGET, phase="all", limit=210 * MIB),
    text="peak RSS of setup, call and teardown 212.4 MiB is 2.4 MiB over the budget of "
    "210.0 MiB set by the marker",
)
BARE = replace(OVER, sites=(), advice="")
CALL = PhaseReading(name="call", seconds=0.25, level=MIB, growth=100 * MIB, peaks=(rss(212.4),))
LOAD = StageReading(
    path="load",
    count=1,
    delta=100 * MIB,
    cumul=100 * MIB,
    seconds=0.125,
    peaks=(rss(200),),
)
DRILLED = replace(LOAD, path="load/parse", lines=(replace(SITE, kept=MIB),))


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        pytest.param(
            OVER,
            "peak RSS 212.4 MiB is 12.4 MiB over the budget of 200.0 MiB set by the marker; "
            "largest: load_rows, src/rows.py:41, 96.0 MiB (over-budget)",
            id="with-the-largest-line",
        ),
        pytest.param(
            BARE,
            "peak RSS 212.4 MiB is 12.4 MiB over the budget of 200.0 MiB set by the marker "
            "(over-budget)",
            id="lines-not-known",
        ),
        pytest.param(
            Finding(rule="not-measured", budget=BUDGET, text="it was not checked"),
            "it was not checked (not-measured)",
            id="another-rule",
        ),
    ],
)
def test_headline(finding, text) -> None:
    """The first line ends in the largest line of code, if known, and the slug."""
    assert text == headline(finding)


@pytest.mark.parametrize(
    ("site", "text"),
    [
        pytest.param(SITE, "load_rows, src/rows.py:41, 96.0 MiB", id="line"),
        pytest.param(NATIVE, "native code, <no Python frame>, 300.0 KiB", id="no-line"),
    ],
)
def test_describe_site(site, text) -> None:
    """A line is described by function, place and size."""
    assert text == describe_site(site)


@pytest.mark.parametrize(
    ("findings", "stages", "call", "name"),
    [
        pytest.param([OVER], [], None, "failure", id="lines"),
        pytest.param([BARE], [], None, "failure_bare", id="one-line-alone"),
        pytest.param([OVER], [LOAD, DRILLED], CALL, "failure_stages", id="stages"),
        pytest.param([BARE], [LOAD], None, "failure_call_not_over", id="call-not-over"),
        pytest.param([OVER, SECOND], [], None, "failure_two_same_lines", id="same-lines-once"),
        pytest.param(
            [OVER, replace(SECOND, sites=(NATIVE,), advice="Other advice.")],
            [],
            None,
            "failure_two_other_lines",
            id="other-lines",
        ),
        pytest.param(
            [BARE, replace(BARE, advice=ADVICE)], [], None, "failure_advice", id="advice-alone"
        ),
    ],
)
def test_failure_text(findings, stages, call, name) -> None:
    """A failure says what broke, then the stages, then the lines, then what to do."""
    assert gold(name) == failure_text(findings, stages, call)


def test_stage_lines() -> None:
    """Only stages that were drilled into have a table of lines."""
    tables = stage_lines([LOAD, DRILLED, replace(DRILLED, path="load/check")])
    assert [gold("stage_lines"), gold("stage_lines_check")] == tables
