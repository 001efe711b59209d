"""Tests of the store: results come back as they were added, in order, once per test."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from pytest_memguard.model.briefs import brief_of, whole
from pytest_memguard.model.measurements import Budget, PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.storage.result_store import ResultStore
from tests.support.sample_values import BUDGET, FINDING, OUTCOME, STAGE, heap, rss

PHASE = PhaseReading(name="call", seconds=0.1, level=2**40, growth=-7, peaks=(rss(3, 4),))
SETUP = replace(PHASE, name="setup", seconds=0.0, level=0)
TEARDOWN = replace(PHASE, name="teardown", growth=2**35)
PLAIN = Outcome(
    nodeid="tests/test_a.py::test_a",
    file="tests/test_a.py",
    line=12,
    worker="gw0",
    phases=(SETUP, PHASE, TEARDOWN),
    budgets=(Budget(limit=5, where="--mem-budget"), BUDGET),
    overhead=0.25,
    imports=3,
)

OUTCOMES = [
    pytest.param(PLAIN, id="plain"),
    pytest.param(Outcome(nodeid="t"), id="nothing-measured"),
    pytest.param(replace(PLAIN, phases=(SETUP, TEARDOWN)), id="no-call"),
    pytest.param(replace(PLAIN, phases=(PHASE,)), id="call-alone"),
    pytest.param(replace(PLAIN, notes=("a note",)), id="note"),
    pytest.param(replace(PLAIN, findings=(FINDING,)), id="finding"),
    pytest.param(replace(PLAIN, stages=(STAGE,)), id="stage"),
    pytest.param(
        replace(PLAIN, phases=(replace(PHASE, peaks=(rss(1), heap(2))),)), id="two-metrics"
    ),
    pytest.param(
        replace(PLAIN, phases=(replace(PHASE, peaks=(heap(2),)),)), id="another-metric"
    ),
    pytest.param(replace(PLAIN, phases=(replace(PHASE, peaks=()),)), id="no-peak"),
    pytest.param(
        replace(PLAIN, phases=(replace(PHASE, peaks=(replace(rss(1), unseen=7),)),)),
        id="sampled",
    ),
    pytest.param(OUTCOME, id="everything"),
    *(
        pytest.param(replace(PLAIN, result=result), id=result)
        for result in ("passed", "failed", "skipped", "xfailed", "xpassed", "error")
    ),
    *(
        pytest.param(
            replace(PLAIN, phases=(replace(PHASE, peaks=(replace(rss(1), method=method),)),)),
            id=method.replace(" ", "-"),
        )
        for method in ("kernel mark", "sampled", "memray", "memray estimate", "tracemalloc")
    ),
]


def store_of(*outcomes) -> ResultStore:
    """A store with these in it."""
    store = ResultStore()
    for outcome in outcomes:
        store.add(outcome)
    return store


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_gives_back_what_it_was_given(outcome) -> None:
    """An outcome comes out as it went in, kept as numbers or whole."""
    assert [outcome] == list(store_of(outcome))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_briefs(outcome) -> None:
    """The numbers read from a row are those of the outcome, which is found by them."""
    store = store_of(outcome)
    (brief,) = store.briefs()
    assert brief_of(outcome)[:-1] == brief[:-1]
    assert [outcome] == whole(store, [brief])


@pytest.mark.parametrize(
    "phases",
    [
        pytest.param((SETUP, PHASE, TEARDOWN), id="whole"),
        pytest.param((SETUP, TEARDOWN), id="no-call"),
        pytest.param((), id="nothing-measured"),
    ],
)
def test_numbers_alone(phases) -> None:
    """A test that comes as numbers is the same as one that comes as a result."""
    outcome = replace(PLAIN, worker="", budgets=(), phases=phases)
    numbers = [
        (p.name, p.seconds, p.level, p.growth, p.peaks[0].value, p.peaks[0].high)
        for p in phases
    ]
    store = ResultStore()
    store.add(replace(OUTCOME, nodeid=outcome.nodeid, worker=""))  # a rerun replaces it
    place = outcome.file, outcome.line
    store.add_plain(
        outcome.nodeid, place, outcome.result, outcome.imports, outcome.overhead, numbers
    )
    assert [outcome] == list(store)
    assert list(store.detailed()) == []
    assert [brief_of(outcome)[:-1]] == [brief[:-1] for brief in store.briefs()]


def test_keeps_the_order() -> None:
    """Tests come out in the order they were first added, of whatever kind they are."""
    outcomes = [
        replace(PLAIN, nodeid="b"),
        replace(OUTCOME, nodeid="c"),
        Outcome(nodeid="a"),
        replace(PLAIN, nodeid="d", line=99),
    ]
    store = store_of(*outcomes)
    assert outcomes == list(store)
    assert len(store) == 4


def test_by_name() -> None:
    """Tests come out by node id when that is asked for, as they were at that time."""
    first, last = replace(PLAIN, nodeid="a", worker="gw1"), replace(PLAIN, nodeid="b")
    again = replace(PLAIN, nodeid="a", worker="gw0")
    store = store_of(last, first, again)
    by_name = store.by_name()
    store.add(replace(PLAIN, nodeid="c"))
    assert [first, again, last] == list(by_name)
    assert len(by_name) == 3


RICH = replace(PLAIN, notes=("a note",))


def test_those_of_which_there_is_more_to_say() -> None:
    """Tests that only used memory are left out; the others come in the order of addition."""
    first, last = replace(RICH, nodeid="z"), replace(RICH, nodeid="a")
    store = store_of(replace(PLAIN, nodeid="b"), first, replace(PLAIN, nodeid="c"), last)
    assert [first, last] == list(store.detailed())
    store.add(replace(PLAIN, nodeid="z"))
    assert [last] == list(store.detailed())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(PLAIN, replace(PLAIN, line=13), id="plain-to-plain"),
        pytest.param(PLAIN, RICH, id="plain-to-rich"),
        pytest.param(RICH, PLAIN, id="rich-to-plain"),
        pytest.param(RICH, replace(RICH, notes=("another",)), id="rich-to-rich"),
        pytest.param(PLAIN, replace(PLAIN, phases=(SETUP,)), id="fewer-phases"),
    ],
)
def test_rerun_replaces(before, after) -> None:
    """A test that ran again is kept once, as it was the last time."""
    other = replace(PLAIN, nodeid="other")
    store = store_of(before, other, after)
    assert [after, other] == list(store)
    assert len(store) == 2


@pytest.mark.parametrize("again", [PLAIN, RICH], ids=["plain", "rich"])
def test_other_process(again) -> None:
    """A test that ran in two processes is kept twice, and a rerun replaces its own."""
    elsewhere = replace(again, worker="gw1")
    rerun = replace(elsewhere, line=99)
    assert [PLAIN, elsewhere] == list(store_of(PLAIN, elsewhere))
    assert [PLAIN, rerun] == list(store_of(PLAIN, elsewhere, rerun))


def test_no_process() -> None:
    """Without workers, a test is known by its name alone."""
    alone = replace(PLAIN, worker="")
    assert [replace(alone, line=3)] == list(store_of(alone, replace(alone, line=3)))


def test_empty() -> None:
    """A store that nothing was added to has nothing in it."""
    assert list(ResultStore()) == []
    assert len(ResultStore()) == 0


def test_can_be_read_twice() -> None:
    """Reading does not use the outcomes up."""
    store = store_of(PLAIN, OUTCOME)
    assert list(store) == list(store)


def test_plain_tests_share_their_texts() -> None:
    """Texts that tests of one file share are kept once, not once per test."""
    first, second = store_of(
        *(replace(PLAIN, nodeid=nodeid, budgets=(replace(BUDGET),)) for nodeid in ("a", "b"))
    )
    assert first.budgets is second.budgets


def test_plain_tests_take_little_memory() -> None:
    """A plain test takes a row of numbers, not objects of its own."""
    store = ResultStore()
    nodeids = [f"t{number}" for number in range(500)]
    before = sys.getallocatedblocks()
    for nodeid in nodeids:
        store.add(replace(PLAIN, nodeid=nodeid))
    blocks = sys.getallocatedblocks() - before
    assert len(store) == 500
    assert blocks < 2 * 500
