"""Tests of requirements: what a set of limits needs, and what two sets need together."""

from __future__ import annotations

from math import inf

import pytest

from pytest_memguard.judge.slack_thresholds import FOR_STORED_PEAKS, ignored_slack
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.baselines import BaselineValue, FailRule
from pytest_memguard.model.measurements import PHASES, Budget
from pytest_memguard.sizes import MIB


def budget(limit=5, **values) -> Budget:
    """A budget of some bytes."""
    return Budget(limit=limit, where="the marker", **values)


CALL = budget(10)
SETUP = budget(20, phase="setup")
TEARDOWN = budget(30, phase="teardown")
WHOLE = budget(40, phase="all")
STAGE = budget(3, stage="load")
NEAR = budget(50, warn=0.1)
HEAP = budget(1, metric="heap")
HEAP_SETUP = budget(1, metric="heap", phase="setup")
HEAP_WHOLE = budget(1, metric="heap", phase="all")
HEAP_STAGE = budget(1, metric="heap", stage="load")
OWN = budget(1, metric="heap", threads="current")
PYTHON = budget(1, metric="python")
TREE = budget(100, metric="tree")
PYTHON_WHOLE = budget(1, metric="python", phase="all")
RULE = FailRule(kind="peak", share=0.1, where="--mem-fail-on", text="peak:10%")
OF_BASELINE = budget(10, baseline_value=BaselineValue(before=9, rule=RULE))
PYTHON_STAGE = budget(1, metric="python", stage="load")


@pytest.mark.parametrize(
    ("budgets", "limits"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([CALL], {"call": 10}, id="call"),
        pytest.param([SETUP, TEARDOWN], {"setup": 20, "teardown": 30}, id="setup-and-teardown"),
        pytest.param([WHOLE], {"setup": 40, "call": 40, "teardown": 40}, id="all"),
        pytest.param(
            [CALL, WHOLE], {"setup": 40, "call": 10, "teardown": 40}, id="smallest-of-two"
        ),
        pytest.param([STAGE], {"setup": 3, "call": 3, "teardown": 3}, id="stage"),
        pytest.param([HEAP_WHOLE, PYTHON_WHOLE], {}, id="other-metrics"),
    ],
)
def test_limits(budgets, limits) -> None:
    """Each phase has the smallest limit on resident memory that covers it."""
    assert limits == Requirements(limits=budgets).resident


@pytest.mark.parametrize(
    ("needed", "counts"),
    [
        pytest.param(Requirements(), False, id="none"),
        pytest.param(Requirements(limits=[CALL]), True, id="resident"),
        pytest.param(Requirements(limits=[TREE]), True, id="tree"),
        pytest.param(Requirements(limits=[HEAP]), True, id="heap"),
        pytest.param(Requirements(limits=[PYTHON]), False, id="python"),
        pytest.param(Requirements(bounds=True), True, id="bounds"),
        pytest.param(Requirements(record=True, bounds=True), False, id="stored"),
        pytest.param(Requirements(foreign=True) | Requirements(), True, id="asked-for"),
        pytest.param(Requirements(limits=[OF_BASELINE]), False, id="compared"),
        pytest.param(Requirements(limits=[OF_BASELINE, CALL]), True, id="budget-beside-it"),
    ],
)
def test_slack_of_other_allocators(needed, counts) -> None:
    """Slack of other allocators counts for users' budgets: baseline values have it as well."""
    assert counts is needed.counts_foreign


def test_the_tree_includes_the_process() -> None:
    """A limit on the tree needs slack to be known and filled, and never a tracker."""
    needed = Requirements(limits=[TREE])
    assert needed.resident == {}
    assert {"call"} == needed.thresholds.keys()
    assert inf == needed.thresholds["call"].use_tracker
    assert ignored_slack(TREE.limit) == needed.thresholds["call"].ignore
    assert needed.collects
    assert needed.detailed
    both = Requirements(limits=[TREE, CALL])
    assert both.resident == {"call": 10}
    assert both.thresholds["call"].use_tracker < inf


@pytest.mark.parametrize(
    ("budgets", "highest"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([CALL], {"call": 10}, id="limit"),
        pytest.param([NEAR], {"call": 5}, id="share-to-warn-at"),
        pytest.param([budget(50, warn=0)], {"call": 50}, id="no-share-at-all"),
        pytest.param([CALL, budget(50, warn=0.5)], {"call": 10}, id="limit-below-share"),
        pytest.param([HEAP], {}, id="other-metric"),
    ],
)
def test_no_finding_below(budgets, highest) -> None:
    """Each phase has the highest peak that neither fails nor warns."""
    assert highest == Requirements(limits=budgets).no_finding_below


@pytest.mark.parametrize(
    ("budgets", "detailed"),
    [
        pytest.param([], False, id="none"),
        pytest.param([CALL, SETUP, TEARDOWN, NEAR], False, id="resident-by-phase"),
        pytest.param([CALL, WHOLE], True, id="across-phases"),
        pytest.param([STAGE], True, id="stage"),
        pytest.param([CALL, HEAP], True, id="heap"),
        pytest.param([PYTHON], True, id="python"),
    ],
)
def test_detailed(budgets, detailed) -> None:
    """The kernel's mark, phase by phase, is enough for plain budgets only."""
    assert detailed is Requirements(limits=budgets).detailed


@pytest.mark.parametrize(
    ("budgets", "traced", "whole", "in_parts"),
    [
        pytest.param([CALL, PYTHON_WHOLE], set(), False, False, id="none"),
        pytest.param([HEAP], {"call"}, False, False, id="call"),
        pytest.param([HEAP, HEAP_SETUP], {"setup", "call"}, False, False, id="two-phases"),
        pytest.param([HEAP_WHOLE], set(PHASES), True, True, id="all"),
        pytest.param([HEAP_STAGE], set(PHASES), False, True, id="stage"),
        pytest.param(
            [budget(1, metric="heap", stage="load", phase="all")],
            set(PHASES),
            False,
            True,
            id="stage-in-all",
        ),
        pytest.param([OWN], {"call"}, False, True, id="own-thread"),
    ],
)
def test_traced(budgets, traced, whole, in_parts) -> None:
    """The tracker runs where a budget on the heap needs it, in as much detail as it needs."""
    found = Requirements(limits=budgets)
    assert (traced, whole, in_parts) == (
        found.traced,
        found.traced_whole,
        found.traced_in_parts,
    )


@pytest.mark.parametrize(
    ("budgets", "python", "whole"),
    [
        pytest.param([CALL, HEAP_WHOLE], set(), False, id="none"),
        pytest.param([PYTHON], {"call"}, False, id="call"),
        pytest.param([PYTHON_WHOLE], set(PHASES), True, id="all"),
        pytest.param([PYTHON_STAGE], set(PHASES), False, id="stage"),
    ],
)
def test_python(budgets, python, whole) -> None:
    """Tracemalloc runs in the phases that a budget on Python memory covers."""
    found = Requirements(limits=budgets)
    assert python == found.metered.get("python", set())
    assert whole == found.metered_whole


@pytest.mark.parametrize(
    ("budgets", "limit"),
    [
        pytest.param([], inf, id="none"),
        pytest.param([CALL], 10, id="call"),
        pytest.param([CALL, TEARDOWN, STAGE], 10, id="call-among-others"),
        pytest.param([CALL, SETUP], inf, id="setup-has-its-own"),
        pytest.param([CALL, WHOLE], inf, id="setup-is-covered"),
        pytest.param([CALL, HEAP_SETUP], 10, id="setup-has-one-of-another-metric"),
        pytest.param([SETUP], inf, id="setup-alone"),
        pytest.param([TEARDOWN], inf, id="teardown-alone"),
        pytest.param([STAGE], inf, id="stage-alone"),
        pytest.param([HEAP], inf, id="heap-alone"),
    ],
)
def test_call_only_limit(budgets, limit) -> None:
    """The call's limit is held against setup only where setup has none of its own."""
    assert limit == Requirements(limits=budgets).call_only_limit


@pytest.mark.parametrize(
    ("budgets", "limit"),
    [
        pytest.param(
            [budget(100 * MIB), budget(90 * MIB, phase="setup")], 90 * MIB, id="smallest"
        ),
        pytest.param([budget(100 * MIB), HEAP], 100 * MIB, id="of-resident-memory"),
    ],
)
def test_tolerance(budgets, limit) -> None:
    """Garbage that does not matter to the smallest limit is left alone."""
    assert ignored_slack(limit) == Requirements(limits=budgets).tolerance


def test_tolerance_without_limits() -> None:
    """Where no limit is judged, as much garbage is left alone as does not matter to records."""
    assert FOR_STORED_PEAKS.ignore == Requirements().tolerance


def test_recorded() -> None:
    """A peak that is stored is as exact as a limit on the call does not say itself."""
    recorded = Requirements(record=True)
    assert recorded.thresholds == {"call": FOR_STORED_PEAKS}
    assert recorded.collects
    limited = recorded | Requirements(limits=[CALL])
    assert limited.thresholds == Requirements(limits=[CALL]).thresholds


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(Requirements(), id="nothing"),
        pytest.param(Requirements(limits=[HEAP, SETUP], drill=True), id="lines"),
        pytest.param(Requirements(metrics=frozenset({"python"}), readings=True), id="readings"),
        pytest.param(Requirements(track=True, record=True, bounds=True), id="exact"),
    ],
)
def test_union(one) -> None:
    """Two requirements together need what either of them needs."""
    other = Requirements(limits=[CALL])
    both = one | other
    assert both.limits == (*one.limits, CALL)
    assert both.metrics == one.metrics
    assert one.detailed <= both.detailed
    assert (both.track, both.drill, both.record, both.bounds, both.readings) == (
        one.track,
        one.drill,
        one.record,
        one.bounds,
        one.readings,
    )
    assert both.call_no_finding_below == 10


def test_simple() -> None:
    """The fast path is for a limit on the call's peak and nothing else."""
    assert Requirements(limits=[CALL]).simple
    assert not Requirements().simple
    for more in (
        Requirements(limits=[SETUP]),
        Requirements(limits=[HEAP]),
        Requirements(bounds=True),
        Requirements(record=True),
        Requirements(readings=True),
    ):
        assert not (Requirements(limits=[CALL]) | more).simple


@pytest.mark.parametrize(
    ("needed", "most"),
    [
        pytest.param(Requirements(limits=[budget(40 * MIB)]), 32 * MIB, id="call"),
        pytest.param(
            Requirements(limits=[budget(40 * MIB)], bounds=True), 10 * MIB, id="shown"
        ),
        pytest.param(
            Requirements(limits=[budget(40 * MIB), HEAP]), 10 * MIB, id="not-measured-again"
        ),
    ],
)
def test_slack_that_may_stay(needed, most) -> None:
    """Slack may stay where a budget on the call is all: a fresh process settles doubts."""
    assert most == needed.most_screened
