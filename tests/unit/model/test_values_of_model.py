"""Tests of what the frozen values say about themselves."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from pytest_memguard.model import measurements, results
from pytest_memguard.model.measurements import PHASES, Budget, Peak, PhaseReading, StageReading
from pytest_memguard.model.metrics import METRICS
from pytest_memguard.model.results import Outcome

RSS_5 = Peak(metric="rss", value=5, high=5, method="kernel mark")
RSS_7 = Peak(metric="rss", value=7, high=9, method="kernel mark")
HEAP_6 = Peak(metric="heap", value=6, high=6, method="memray")

VALUES = [
    value
    for module in (measurements, results)
    for value in vars(module).values()
    if dataclasses.is_dataclass(value) and value.__module__ == module.__name__
]


def phase(name, level=100, growth=0, peaks=(RSS_5,)) -> PhaseReading:
    """A phase of a test, of which only some numbers matter."""
    return PhaseReading(name=name, seconds=0.0, level=level, growth=growth, peaks=peaks)


def budget(**values) -> Budget:
    """A budget, of which only some values matter."""
    return Budget(limit=1, where="the marker", **values)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_values_are_frozen(value) -> None:
    """Values of the model cannot be changed, given fields by position or extended."""
    fields = dataclasses.fields(value)
    blank = value(**dict.fromkeys(field.name for field in fields))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(blank, fields[0].name, 1)
    with pytest.raises(AttributeError):
        object.__setattr__(blank, "more", 1)
    with pytest.raises(TypeError, match="positional"):
        value(*(None for _ in fields))


def test_metrics_know_their_names() -> None:
    """A metric is found under the name a marker calls it by."""
    assert [metric.name for metric in METRICS.values()] == ["rss", "heap", "python", "tree"]
    assert list(METRICS) == [metric.name for metric in METRICS.values()]


@pytest.mark.parametrize(
    ("peak", "exact"),
    [
        pytest.param(RSS_5, True, id="no-room-above"),
        pytest.param(RSS_7, False, id="room-above"),
        pytest.param(replace(RSS_5, unseen=1), False, id="bytes-that-were-missed"),
        pytest.param(replace(RSS_5, unseen=None), False, id="nothing-bounds-it"),
    ],
)
def test_exact_peak(peak, exact) -> None:
    """A peak is exact if nothing can lie above it."""
    assert exact is peak.exact


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({}, {"warn": 0.5}, True, id="limit-and-warn-do-not-matter"),
        pytest.param({}, {"metric": "heap"}, False, id="other-metric"),
        pytest.param({}, {"phase": "setup"}, False, id="other-phase"),
        pytest.param({}, {"stage": "load"}, False, id="stage-or-not"),
        pytest.param({"stage": "load"}, {"stage": "parse"}, False, id="other-stage"),
        pytest.param(
            {"stage": "load"},
            {"stage": "load", "phase": "all"},
            True,
            id="a-stage-is-the-same-in-any-phase",
        ),
    ],
)
def test_budget_key(one, other, same) -> None:
    """Two budgets compete if they are about the same metric, phase and stage."""
    assert same is (budget(**one).key == budget(**other).key)


@pytest.mark.parametrize(
    ("values", "covered"),
    [
        pytest.param({}, ["call"], id="call-by-default"),
        pytest.param({"phase": "setup"}, ["setup"], id="setup"),
        pytest.param({"phase": "teardown"}, ["teardown"], id="teardown"),
        pytest.param({"phase": "all"}, list(PHASES), id="all"),
        pytest.param({"stage": "load"}, list(PHASES), id="a-stage-may-be-anywhere"),
    ],
)
def test_budget_covers(values, covered) -> None:
    """A budget covers its phase, or every phase."""
    assert covered == [name for name in PHASES if budget(**values).covers(name)]


@pytest.mark.parametrize(
    ("metric", "peak"),
    [
        pytest.param("rss", RSS_5, id="first"),
        pytest.param("heap", HEAP_6, id="second"),
        pytest.param("python", None, id="not-measured"),
    ],
)
def test_peak_of_a_reading(metric, peak) -> None:
    """A phase and a stage give the peak in one metric, if it was measured."""
    peaks = (RSS_5, HEAP_6)
    stage = StageReading(path="a", count=1, delta=0, cumul=0, seconds=0.0, peaks=peaks)
    assert peak == phase("call", peaks=peaks).peak(metric)
    assert peak == stage.peak(metric)


@pytest.mark.parametrize(
    ("phases", "peak"),
    [
        pytest.param((), None, id="nothing-measured"),
        pytest.param(
            (phase("setup", peaks=(RSS_7,)), phase("call", peaks=(RSS_5,))),
            RSS_5,
            id="the-call-though-setup-was-higher",
        ),
        pytest.param(
            (phase("setup", peaks=(RSS_7,)), phase("teardown", peaks=(RSS_5,))),
            RSS_7,
            id="the-highest-without-a-call",
        ),
        pytest.param((phase("setup", peaks=(HEAP_6,)),), None, id="another-metric-is-no-peak"),
    ],
)
def test_peak_of_an_outcome(phases, peak) -> None:
    """A test is known by its call's peak, or by the highest of its other phases."""
    assert peak == Outcome(nodeid="t", phases=phases).peak


@pytest.mark.parametrize(
    ("phases", "growth"),
    [
        pytest.param((), 0, id="nothing-measured"),
        pytest.param((phase("setup", 100, 5),), 5, id="one-phase"),
        pytest.param(
            (phase("setup", 100, 5), phase("call", 120, 7), phase("teardown", 125, -3)),
            9,
            id="not-what-happened-in-between",
        ),
        pytest.param((phase("setup", 100, 5), phase("teardown", 90, -16)), -11, id="shrinks"),
    ],
)
def test_growth_of_an_outcome(phases, growth) -> None:
    """A test's growth is what its phases left behind, and nothing that was not in them."""
    assert growth == Outcome(nodeid="t", phases=phases).growth


@pytest.mark.parametrize(
    ("budgets", "chosen"),
    [
        pytest.param([], None, id="none"),
        pytest.param([{"metric": "heap"}, {"stage": "a"}], 0, id="the-first"),
        pytest.param([{"metric": "heap"}, {}], 1, id="the-call's-resident-memory"),
    ],
)
def test_tightest_budget(budgets, chosen) -> None:
    """The budget in the table is the one on the call's resident memory, or the first."""
    budgets = tuple(budget(**values) for values in budgets)
    expected = None if chosen is None else budgets[chosen]
    assert expected is Outcome(nodeid="t", budgets=budgets).tightest


def test_phase_of_an_outcome() -> None:
    """A phase is found by its name, if the test got that far."""
    setup = phase("setup")
    outcome = Outcome(nodeid="t", phases=(setup,))
    assert setup is outcome.phase("setup")
    assert outcome.phase("call") is None
