"""Tests of the tables, whole, against the files in tests/gold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.measurements import (
    Budget,
    CallSite,
    Peak,
    PhaseReading,
    StageReading,
)
from pytest_memguard.model.results import Outcome
from pytest_memguard.report import table
from pytest_memguard.report.columns import narrow_table
from pytest_memguard.sizes import KIB, MIB
from tests.support.gold_files import gold
from tests.support.sample_values import heap, rss


def phase(name, *peaks, level=50.0, growth=0.0, seconds=0.015) -> PhaseReading:
    """A phase of a test; sizes in MiB."""
    return PhaseReading(
        name=name,
        seconds=seconds,
        level=int(level * MIB),
        growth=int(growth * MIB),
        peaks=peaks,
    )


def stage(path, peak, *, count=1, delta=0.0, cumul=0.0, seconds=0.25) -> StageReading:
    """A stage; sizes in MiB."""
    return StageReading(
        path=path,
        count=count,
        delta=int(delta * MIB),
        cumul=int(cumul * MIB),
        seconds=seconds,
        peaks=() if peak is None else (peak,),
    )


def site(file, line, size, *, count=1, kept=None, function="load") -> CallSite:
    """A line; sizes in KiB."""
    return CallSite(
        file=file,
        line=line,
        function=function,
        size=int(size * KIB),
        count=count,
        kept=None if kept is None else int(kept * KIB),
    )


STAGES = [
    stage("load", rss(150.25), delta=100, cumul=100, seconds=1.204),
    stage("load/parse", rss(40, 60), count=12, delta=-3.5, cumul=96.5, seconds=0.0154),
    stage("calibrate", None, delta=0, cumul=96.5, seconds=0.00004),
]
CALL = phase("call", rss(151, 155), growth=96.54, seconds=61.7)
SITES = [
    site("src/rows.py", 41, 96 * 1024, count=1_234_567),
    site("src/rows.py", 7, 512.5, count=2, function="<lambda>"),
    site("<no Python frame>", 0, 60, function="native code"),
    site("src/small.py", 1, 40),
    site("src/just.py", 1, MIB // 20 / KIB),
]
KEPT = [
    site("src/rows.py", 41, 96 * 1024, count=3, kept=0),
    site("src/kept.py", 2, 0, count=0, kept=2048),
    site("src/unknown.py", 3, 100),
    site("src/small.py", 4, 40, kept=45),
]


@pytest.mark.parametrize(
    ("stages", "call", "name"),
    [
        pytest.param(STAGES, CALL, "stage_table", id="stages-and-whole-test"),
        pytest.param(STAGES, None, "stage_table_without_call", id="call-not-over"),
        pytest.param([], CALL, "stage_table_of_call", id="no-stages"),
        pytest.param([], None, "stage_table_empty", id="nothing"),
    ],
)
def test_stage_table(stages, call, name) -> None:
    """Stages stand in order, repeated ones with their count, the whole test last."""
    assert gold(name) == table.stage_table(stages, call)


@pytest.mark.parametrize(
    ("sites", "name"),
    [
        pytest.param(SITES, "site_table", id="at-the-peak"),
        pytest.param(KEPT, "site_table_kept", id="and-kept"),
        pytest.param(SITES[3:4], "site_table_small", id="the-only-one-is-small"),
    ],
)
def test_site_table(sites, name) -> None:
    """Lines stand in order; small ones are left out unless there is nothing else."""
    assert gold(name) == table.site_table(sites)


CALL_BUDGET = Budget(limit=200 * MIB, where="the marker")
OUTCOMES = [
    Outcome(
        nodeid="tests/test_rows.py::test_load[a-1]",
        phases=(
            phase("setup", rss(20), level=50),
            phase("call", rss(212.4), level=70),
            phase("teardown", rss(0.25), level=80, growth=-1.5),
        ),
        budgets=(
            replace(CALL_BUDGET, stage="load", limit=1),
            replace(CALL_BUDGET, metric="heap", limit=1),
            CALL_BUDGET,
        ),
    ),
    Outcome(
        nodeid="tests/test_rows.py::test_wide_bounds",
        phases=(phase("call", rss(30, 34), growth=30), phase("teardown", rss(1, 5.25))),
        budgets=(replace(CALL_BUDGET, limit=60 * MIB),),
    ),
    Outcome(
        nodeid="tests/test_rows.py::test_large_and_wide",
        phases=(phase("call", rss(1000, 1100)), phase("teardown", rss(1000, 1101))),
    ),
    Outcome(
        nodeid="test_heap.py::test_heap",
        phases=(phase("setup", rss(3)), phase("call", rss(4), heap(0.5))),
        budgets=(
            replace(CALL_BUDGET, metric="heap", limit=1536 * KIB),
            replace(CALL_BUDGET, stage="load"),
        ),
    ),
    Outcome(
        nodeid="test_phases.py::test_setup",
        phases=(phase("setup", rss(3)), phase("call", rss(1))),
        budgets=(replace(CALL_BUDGET, phase="setup", limit=4 * MIB),),
    ),
    Outcome(
        nodeid="test_phases.py::test_all",
        phases=(phase("setup", rss(3)), phase("call", rss(8), level=60)),
        budgets=(replace(CALL_BUDGET, phase="all", limit=4 * MIB),),
    ),
    Outcome(
        nodeid="test_phases.py::test_all_of_the_heap",
        phases=(phase("setup", rss(3), heap(1)), phase("call", rss(8), heap(2), level=60)),
        budgets=(replace(CALL_BUDGET, phase="all", metric="heap", limit=4 * MIB),),
    ),
    Outcome(
        nodeid="test_phases.py::test_all_in_setup",
        phases=(phase("setup", rss(6)), phase("call", rss(1), level=51)),
        budgets=(replace(CALL_BUDGET, phase="all", limit=4 * MIB),),
    ),
    Outcome(
        nodeid="test_phases.py::test_stage",
        phases=(phase("call", rss(1)),),
        budgets=(replace(CALL_BUDGET, stage="load"),),
    ),
    Outcome(
        nodeid="test_phases.py::test_setup_failed",
        phases=(phase("setup", rss(5)), phase("teardown", rss(6))),
        budgets=(CALL_BUDGET,),
    ),
    Outcome(nodeid="test_phases.py::test_not_measured"),
]


def children(value, high=None, unseen=0) -> Peak:
    """What children used, in MiB."""
    high = value if high is None else high
    return Peak(
        metric="children",
        value=value * MIB,
        high=high * MIB,
        method="sampled",
        unseen=None if unseen is None else unseen * MIB,
    )


WITH_CHILDREN = [
    Outcome(nodeid="a.py::test_one", phases=(phase("call", rss(20), children(300)),)),
    Outcome(nodeid="a.py::test_two", phases=(phase("call", rss(20), children(9, 10, 90)),)),
    Outcome(nodeid="a.py::test_any", phases=(phase("setup", rss(20), children(9, 9, None)),)),
    Outcome(nodeid="a.py::test_none", phases=(phase("call", rss(20)),)),
]


@pytest.mark.parametrize(
    ("outcomes", "name"),
    [
        pytest.param(OUTCOMES, "test_table", id="all-kinds"),
        pytest.param([], "test_table_empty", id="nothing"),
        pytest.param(WITH_CHILDREN, "test_table_children", id="children"),
    ],
)
def test_test_table(outcomes, name) -> None:
    """Tests have their peaks by phase, what they left, their budget and the share used."""
    headers, rows = table.test_cells(outcomes)
    assert gold(name) == "\n".join(narrow_table(headers, rows, 120))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        pytest.param(0, "0.0 ms", id="nothing"),
        pytest.param(0.00004, "0.0 ms", id="microseconds"),
        pytest.param(0.015, "15.0 ms", id="milliseconds"),
        pytest.param(0.9999, "999.9 ms", id="almost-a-second"),
        pytest.param(1, "1.00 s", id="a-second"),
        pytest.param(61.7, "61.70 s", id="more-than-a-minute"),
    ],
)
def test_format_seconds(seconds, words) -> None:
    """Durations below a second read in milliseconds."""
    assert words == table.format_seconds(seconds)


@pytest.mark.parametrize(
    ("unseen", "method", "text"),
    [
        pytest.param(0, "sampled", "20.0", id="exact"),
        pytest.param(2 * MIB, "sampled", "20.0", id="hardly-any"),
        pytest.param(9 * MIB, "sampled", "20.0 (<= 29.0)", id="bounded"),
        pytest.param(None, "sampled", "20.0 (sampled)", id="not-bounded"),
        pytest.param(None, "kernel mark", ">= 20.0", id="mark-reset-by-the-test"),
    ],
)
def test_what_was_missed(unseen, method, text) -> None:
    """A peak has its bound beside it, or says that there is none."""
    peak = replace(rss(20), unseen=unseen, method=method)
    assert text == table._peak(peak)
