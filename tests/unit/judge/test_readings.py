"""Tests of the numbers of a run in the form of a baseline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.readings import entries, pooled, readings
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    Fill,
    LineEntry,
    StageEntry,
)
from pytest_memguard.model.leaks import LeakReading, Verdict
from pytest_memguard.sizes import MIB
from tests.support.sample_values import FINDING, LEAK, OUTCOME, RUN, SITE, STAGE, heap, rss

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)
PASSED = replace(OUTCOME, result="passed")


def of(*outcomes, root="") -> Baseline:
    """The numbers of a run with these outcomes."""
    return readings(replace(RUN, outcomes=outcomes), root)


def only(outcome, metric="rss", root="") -> BaselineEntry:
    """The numbers of one test."""
    return of(outcome, root=root).environments[replace(PLACE, metric=metric)][outcome.nodeid]


def test_everything() -> None:
    """Peaks, bounds, growth, stages, lines, leak and imports are those of the run."""
    assert only(PASSED) == BaselineEntry(
        peak=120 * MIB,
        ceiling=130 * MIB,
        growth=-3,
        stages=(StageEntry(path="load/parse", peak=7 * MIB, delta=4 * MIB),),
        lines=(LineEntry(file="src/rows.py", function="load_rows", line=41, size=96 * MIB),),
        leak=216.0,
        imports=12,
        cold=120 * MIB,
        fills=(Fill(holder="data.table", size=28 * MIB),),
    )


def test_each_metric_is_a_place() -> None:
    """Other metrics have readings of their own, without what resident memory alone has."""
    found = of(PASSED)
    assert {PLACE, replace(PLACE, metric="heap")} == set(found.environments)
    assert only(PASSED, "heap") == BaselineEntry(
        peak=MIB,
        growth=0,
        lines=only(PASSED).lines,
        imports=12,
    )


@pytest.mark.parametrize("result", ["failed", "skipped", "error", "xfailed"])
def test_only_what_passed(result) -> None:
    """A test that did not run to its end has no number."""
    assert of(replace(OUTCOME, result=result)) == Baseline()


OVER = replace(FINDING, budget=replace(FINDING.budget, stage=None))
NO_LEAK = replace(OUTCOME, leak=None)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        pytest.param(replace(NO_LEAK, findings=(OVER,)), True, id="over-budget"),
        pytest.param(replace(NO_LEAK, findings=(FINDING,)), False, id="stage-over-budget"),
        pytest.param(
            replace(NO_LEAK, findings=(replace(FINDING, rule="regression"),)),
            True,
            id="stage-regressed",
        ),
        pytest.param(
            replace(NO_LEAK, findings=(replace(OVER, raised=False),)), False, id="own-failure"
        ),
        pytest.param(replace(NO_LEAK, findings=(OVER,), result="error"), False, id="error"),
        pytest.param(replace(OUTCOME, findings=()), False, id="accepted-leak"),
        pytest.param(
            replace(OUTCOME, findings=(), leak=replace(LEAK, accepted="")), True, id="leak"
        ),
    ],
)
def test_breaches(outcome, counts) -> None:
    """A test that failed with a finding of ours alone can be compared, but is not saved."""
    run = replace(RUN, outcomes=(outcome,))
    assert readings(run) == Baseline()
    assert (readings(run, breaches=True) != Baseline()) == counts


def test_breaches_do_not_count_by_themselves() -> None:
    """A test that failed with a finding of ours has no numbers unless they are asked for."""
    outcome = replace(NO_LEAK, findings=(OVER,))
    assert entries(outcome) == {}
    assert {"rss", "heap"} == set(entries(outcome, breaches=True))


def test_nothing_measured() -> None:
    """A test without a call has no number."""
    assert of(replace(PASSED, phases=())) == Baseline()


@pytest.mark.parametrize(
    ("peak", "ceiling"),
    [
        pytest.param(rss(100), 0, id="exact"),
        pytest.param(rss(100, 101), 0, id="nearly"),
        pytest.param(rss(100, 101 + 1 / MIB), 101 * MIB + 1, id="a-byte-more"),
    ],
)
def test_bounds(peak, ceiling) -> None:
    """The upper bound of a peak is kept if it is more than 1 MiB above it."""
    phase = replace(PASSED.phases[0], peaks=(peak,))
    assert ceiling == only(replace(PASSED, phases=(phase,))).ceiling


def test_stage_of_another_metric() -> None:
    """The growth in a stage is known of resident memory only."""
    stage = replace(STAGE, peaks=(heap(7),))
    assert only(replace(PASSED, stages=(stage,)), "heap").stages == (
        StageEntry(path="load/parse", peak=7 * MIB, delta=0),
    )


def test_stage_with_bounds() -> None:
    """A stage that is not exact keeps its bound."""
    bounded = replace(STAGE, peaks=(rss(3, 9),))
    assert only(replace(PASSED, stages=(bounded,))).stages == (
        StageEntry(path="load/parse", peak=3 * MIB, delta=4 * MIB, ceiling=9 * MIB),
    )


def test_lines() -> None:
    """The largest lines are kept, each once, relative to the root."""
    sites = tuple(
        replace(SITE, file=f"/project/src/{number}.py", size=number * MIB)
        for number in range(20)
    )
    stages = (replace(STAGE, lines=sites), replace(STAGE, path="b", lines=sites[5:]))
    test = replace(PASSED, stages=stages, findings=())
    lines = only(test, root="/project").lines
    assert [f"src/{number}.py" for number in range(19, 9, -1)] == [line.file for line in lines]
    assert only(test).lines[0].file == "/project/src/19.py"
    assert only(test, root="/elsewhere").lines[0].file == "/project/src/19.py"


@pytest.mark.parametrize(
    ("file", "stored"),
    [
        ("/project/src/rows.py", "src/rows.py"),
        ("/project/.venv/lib/python3.11/site-packages/a/b.py", "a/b.py"),
        ("/usr/lib/python3/dist-packages/a/b.py", "a/b.py"),
        ("/opt/py/lib/python3.13t/json/decoder.py", "json/decoder.py"),
        ("/opt/py/lib/python3.11/site-packages/a/b.py", "a/b.py"),
        ("<string>", "<string>"),
        ("/elsewhere/a.py", "/elsewhere/a.py"),
        ("site-packages/a.py", "site-packages/a.py"),
    ],
)
def test_lines_of_other_distributions(file, stored) -> None:
    """Paths in other distributions do not depend on where these are installed."""
    stage = replace(STAGE, lines=(replace(SITE, file=file),))
    (line,) = only(replace(PASSED, stages=(stage,), findings=()), root="/project").lines
    assert line.file == stored


def test_lines_of_the_same_size() -> None:
    """Lines of one size stand in the order of their places, one without a size last."""
    places = [("b.py", 1, 5), ("a.py", 2, 5), ("a.py", 1, 5), ("c.py", 1, 0)]
    sites = tuple(replace(SITE, file=file, line=line, size=size) for file, line, size in places)
    lines = only(replace(PASSED, stages=(replace(STAGE, lines=sites),), findings=())).lines
    assert [(line.file, line.line, line.size) for line in lines] == [
        ("a.py", 1, 5),
        ("a.py", 2, 5),
        ("b.py", 1, 5),
        ("c.py", 1, 0),
    ]


def test_lines_of_findings() -> None:
    """The lines of a finding are those of the metric it is about."""
    bare = replace(FINDING, peak=None, sites=(replace(SITE, file="other.py"),))
    test = replace(PASSED, stages=(), findings=(FINDING, bare))
    assert [line.file for line in only(test, "heap").lines] == ["src/rows.py"]
    assert only(test).lines == ()


@pytest.mark.parametrize(
    ("state", "leak"), [("clean", 0.0), ("undecided", None), ("settling", None)]
)
def test_leak(state, leak) -> None:
    """A clean test leaks nothing; where nothing is certain there is no number."""
    reading = LeakReading(verdict=Verdict(state=state, calls=9))
    assert leak == only(replace(PASSED, leak=reading)).leak


def test_several_processes() -> None:
    """Readings of one test in two processes are one entry with their spread."""
    phase = replace(PASSED.phases[0], peaks=(rss(100),))
    other = replace(PASSED, worker="gw2", phases=(phase,))
    found = of(replace(PASSED, phases=(replace(phase, peaks=(rss(120),)),)), other)
    entry = found.environments[PLACE][PASSED.nodeid]
    assert (entry.peak, entry.spread, entry.readings) == (120 * MIB, 20 * MIB, 2)


def test_pooled_without_imports() -> None:
    """A reading that had to import more is ignored beside one that had not."""
    cold, warm = BaselineEntry(peak=90, growth=0, imports=3), BaselineEntry(peak=50, growth=0)
    assert pooled([cold, warm]) == warm


@pytest.mark.parametrize(
    ("several", "peak", "spread", "readings"),
    [
        pytest.param([(50, 0, 1)], 50, 0, 1, id="one"),
        pytest.param([(50, 0, 1), (90, 0, 1), (70, 0, 1)], 90, 40, 3, id="three"),
        pytest.param([(90, 30, 2), (80, 0, 1)], 90, 30, 3, id="lowest-of-the-highest"),
        pytest.param([(90, 0, 1), (80, 30, 2)], 90, 40, 3, id="lowest-of-the-lowest"),
    ],
)
def test_pooled(several, peak, spread, readings) -> None:
    """Several readings are the highest of them, down to the lowest of any."""
    found = pooled(
        BaselineEntry(peak=peak, growth=0, spread=spread, readings=readings)
        for peak, spread, readings in several
    )
    assert BaselineEntry(peak=peak, growth=0, spread=spread, readings=readings) == found
