"""Tests of what two calls in a fresh process show against a test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.cold_and_warm import (
    Against,
    KnownFill,
    TwoCalls,
    added_fills,
    against,
    grew_before,
    grown_holders,
    is_filled_as_before,
    known_fills,
)
from pytest_memguard.model.baselines import BaselineEntry, BaselineValue, FailRule, Fill
from pytest_memguard.model.measurements import Budget
from pytest_memguard.sizes import MIB
from tests.support.sample_values import rss

RULE = FailRule(kind="peak", share=0.1, floor=2 * MIB, text="peak:10%+2MB")


def limit(before=0, cold=0) -> tuple[Budget, BaselineValue]:
    """The limit that a warm peak on record sets, and a cold one beside it; in MiB."""
    stored = BaselineValue(before=before * MIB, rule=RULE, cold=cold * MIB)
    allowed = before * MIB + max(int(0.1 * before * MIB), 2 * MIB)
    return Budget(limit=allowed, where="default", baseline_value=stored), stored


def fill(holder, size) -> Fill:
    """What is filled, in MiB."""
    return Fill(holder=holder, size=size * MIB)


TABLE = fill("data.table", 28)
RECORD = {
    "test_a": BaselineEntry(peak=0, growth=0, cold=28 * MIB, fills=(TABLE,)),
    "test_b": BaselineEntry(peak=0, growth=0),
}


@pytest.mark.parametrize(
    ("before", "cold", "calls", "expected"),
    [
        pytest.param(0, 0, (rss(1), rss(0)), Against.NOTHING, id="a-neighbour's"),
        pytest.param(20, 0, (rss(30), rss(29)), Against.USE_GREW, id="each-call-uses-more"),
        pytest.param(0, 28, (rss(33), rss(3)), Against.USE_GREW, id="use-grew-beside-a-fill"),
        pytest.param(0, 28, (rss(28), rss(0)), Against.FILL_IS_KNOWN, id="fills-as-before"),
        pytest.param(0, 28, (rss(30), rss(0)), Against.FILL_IS_KNOWN, id="as-the-rule-allows"),
        pytest.param(0, 28, (rss(32), rss(0)), Against.FILL_GREW, id="fills-more"),
        pytest.param(
            0, 0, (rss(28), rss(0), TABLE), Against.FILL_IS_KNOWN, id="another-was-1st"
        ),
        pytest.param(
            0,
            0,
            (rss(33), rss(0), fill("data.table", 33)),
            Against.FILL_IS_NEW,
            id="more-of-it",
        ),
        pytest.param(
            0, 0, (rss(9), rss(0), fill("data.names", 9)), Against.FILL_IS_NEW, id="a-new-cache"
        ),
        pytest.param(
            0, 0, (rss(9), rss(0)), Against.FILL_MAY_BE_KNOWN, id="no-object-holds-the-memory"
        ),
        pytest.param(
            0,
            0,
            (rss(3), rss(0), fill("data.parts", 1)),
            Against.FILL_IS_SMALL,
            id="less-than-is-on-record",
        ),
        pytest.param(
            0,
            0,
            (rss(4), rss(0), fill("data.parts", 1)),
            Against.FILL_MAY_BE_KNOWN,
            id="more-than-that",
        ),
        pytest.param(
            0,
            0,
            (rss(9), rss(0), *(fill(f"data.part{n}", 1) for n in range(9))),
            Against.FILL_MAY_BE_KNOWN,
            id="many-that-are-small",
        ),
        pytest.param(0, 0, (rss(9), None), Against.NOT_REPEATABLE, id="once-only"),
        pytest.param(0, 0, (rss(2.2), rss(1.9)), Against.NOTHING, id="nothing-is-filled"),
        pytest.param(0, 28, (rss(28), None), Against.FILL_IS_KNOWN, id="once-only-as-before"),
        pytest.param(20, 0, (rss(21, 30), rss(20)), Against.TOO_CLOSE, id="first-inexact"),
        pytest.param(20, 0, (rss(30), rss(20, 30)), Against.TOO_CLOSE, id="second-inexact"),
    ],
)
def test_against(before, cold, calls, expected) -> None:
    """Like is compared with like: warm with warm, and cold with cold."""
    first, second, *fills = calls
    two = TwoCalls(cold=first, warm=second, fills=tuple(fills))
    known = known_fills(RECORD, is_complete=True)
    assert against(*limit(before, cold), two, known) is expected


def test_one_call_was_enough() -> None:
    """A first call that others explain is a regression above the limit, and none below."""
    for size, expected in ((9, Against.AS_IN_OTHERS), (1, Against.NOTHING)):
        calls = TwoCalls(cold=rss(size), warm=None, is_enough=True)
        known = known_fills(RECORD, is_complete=True)
        assert against(*limit(0, 0), calls, known) is expected


@pytest.mark.parametrize(
    ("cold", "took", "imports", "expected"),
    [
        pytest.param(28, 40, 0, Against.FILL_GREW, id="no-import"),
        pytest.param(28, 40, 3, Against.FILL_MAY_BE_IMPORTS, id="imports"),
        pytest.param(28, 40 + 20, 3, Against.FILL_GREW, id="more-than-three-modules-take"),
        pytest.param(28, 28, 3, Against.FILL_IS_KNOWN, id="imports-beside-as-much-as-before"),
        pytest.param(0, 9, 0, Against.FILL_IS_NEW, id="new-and-no-import"),
        pytest.param(0, 9, 1, Against.FILL_MAY_BE_IMPORTS, id="new-and-an-import"),
    ],
)
def test_imports_of_the_first_call(cold, took, imports, expected) -> None:
    """Memory of a library may be new only because its test is the first to import it here."""
    fills = (fill("other.module", took - cold),)
    calls = TwoCalls(cold=rss(took), warm=rss(0), fills=fills, imports=imports)
    known = known_fills(RECORD, is_complete=True)
    assert against(*limit(0, cold), calls, known) is expected


@pytest.mark.parametrize(
    ("cold", "loaded", "expected"),
    [
        pytest.param(28, {"numpy"}, Against.IMPORT_IS_NEW, id="not-loaded-then"),
        pytest.param(0, {"numpy"}, Against.IMPORT_IS_NEW, id="no-cold-peak-on-record"),
        pytest.param(28, {"numpy", "pandas"}, Against.FILL_MAY_BE_IMPORTS, id="loaded-then"),
        pytest.param(28, None, Against.FILL_MAY_BE_IMPORTS, id="not-known"),
    ],
)
def test_a_library_that_no_test_on_record_has_loaded(cold, loaded, expected) -> None:
    """No order of the tests on record explains it."""
    calls = TwoCalls(cold=rss(40), warm=rss(0), imports=90, libraries=("pandas",))
    known = known_fills(
        RECORD, is_complete=True, loaded=None if loaded is None else frozenset(loaded)
    )
    assert against(*limit(0, cold), calls, known) is expected


@pytest.mark.parametrize(
    "fills",
    [pytest.param((fill("data.names", 9),), id="named"), pytest.param((), id="unnamed")],
)
def test_an_incomplete_record(fills) -> None:
    """Where tests were not measured cold, a fill may be one that another test had made."""
    known = known_fills(RECORD, is_complete=False)
    calls = TwoCalls(cold=rss(9), warm=rss(0), fills=fills)
    assert against(*limit(), calls, known) is Against.FILL_MAY_BE_KNOWN


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        pytest.param(rss(28), Against.FILL_IS_KNOWN, id="as-much-as-the-fill"),
        pytest.param(rss(30), Against.FILL_IS_KNOWN, id="as-much-as-the-rule-allows"),
        pytest.param(rss(90), Against.NOTHING, id="much-more"),
        pytest.param(None, Against.FILL_IS_KNOWN, id="no-peak"),
    ],
)
@pytest.mark.parametrize("cold", [0, 28], ids=["another-was-1st", "cold-on-record"])
def test_more_than_the_fill(here, cold, expected) -> None:
    """A known fill explains no more than it takes in a fresh process."""
    known = known_fills(RECORD, is_complete=True)
    calls = TwoCalls(cold=rss(28), warm=rss(0), fills=(TABLE,))
    assert against(*limit(0, cold), calls, known, here) is expected


def test_known_fills() -> None:
    """Of tests that fill the same, the one that fills most is remembered."""
    more = BaselineEntry(peak=0, growth=0, cold=30 * MIB, fills=(fill("data.table", 30),))
    known = known_fills({**RECORD, "test_c": more}, is_complete=True)
    assert known.by_holder == {
        "data.table": KnownFill(nodeid="test_c", size=30 * MIB, took=30 * MIB)
    }


@pytest.mark.parametrize(
    ("cold", "now", "top", "expected"),
    [
        pytest.param(28, 28, 28, True, id="the-same"),
        pytest.param(28, 26, 26, True, id="a-little-less"),
        pytest.param(28, 30, 30, True, id="a-little-more"),
        pytest.param(28, 31, 31, False, id="more"),
        pytest.param(28, 10, 10, False, id="less: each call may use that"),
        pytest.param(28, 28, 40, False, id="perhaps-more"),
        pytest.param(0, 28, 28, False, id="none-on-record"),
    ],
)
def test_filled_as_before(cold, now, top, expected) -> None:
    """A peak near the cold one in the baseline needs no second measurement."""
    budget, stored = limit(0, cold)
    assert is_filled_as_before(budget, stored, now * MIB, top * MIB) is expected


def test_filled_by_another_test_before() -> None:
    """A peak like the cold one is no evidence where an earlier test has filled some of it."""
    budget, stored = limit(0, 28)
    stored = replace(stored, is_filled=True)
    assert not is_filled_as_before(budget, stored, 28 * MIB, 28 * MIB)


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        pytest.param(rss(3), True, id="it used less than what has grown"),
        pytest.param(rss(3, 8), False, id="it may have used more"),
        pytest.param(rss(6), False, id="it may have filled that"),
        pytest.param(None, False, id="not a peak"),
    ],
)
def test_grew_before(here, expected) -> None:
    """A test that used less than the growth cannot have filled it."""
    _, stored = limit(0, 28)
    assert expected is grew_before(stored, TwoCalls(cold=rss(33), warm=rss(0)), here)


@pytest.mark.parametrize(
    ("cold", "own", "fills", "expected"),
    [
        pytest.param(28, (TABLE,), (fill("data.table", 32),), {"data.table"}, id="more-of-it"),
        pytest.param(28, (TABLE,), (fill("data.table", 29),), set(), id="as-the-rule-allows"),
        pytest.param(
            9,
            (fill("data.table", 9),),
            (fill("data.table", 12), fill("data.names", 3)),
            {"data.table", "data.names"},
            id="another-test-fills-more-of-it-on-record",
        ),
        pytest.param(0, (), (fill("data.table", 28),), set(), id="of-another-test"),
        pytest.param(
            0, (), (fill("data.table", 32),), {"data.table"}, id="more-than-any-other-test"
        ),
    ],
)
def test_grown_holders(cold, own, fills, expected) -> None:
    """Growth is found by comparing with the same test, or else with all others."""
    budget, stored = limit(0, cold)
    calls = TwoCalls(cold=rss(40), warm=rss(0), fills=fills)
    known = known_fills(RECORD, is_complete=True)
    assert expected == grown_holders(budget, replace(stored, fills=own), calls, known)


@pytest.mark.parametrize(
    ("took", "has_shared", "expected"),
    [
        pytest.param(6, True, Against.FILL_IS_KNOWN, id="all-parts"),
        pytest.param(9, True, Against.FILL_IS_NEW, id="more-than-these"),
        pytest.param(9, False, Against.FILL_MAY_BE_SHARED, id="others-were-left-out"),
    ],
)
def test_what_several_tests_fill(took, has_shared, expected) -> None:
    """A test that fills alone what others filled, each a part, fills what is known."""
    together = added_fills((fill("data.parts", 4),), (fill("data.parts", 2), fill("data.x", 1)))
    assert together == (fill("data.parts", 6), fill("data.x", 1))
    known = known_fills({}, is_complete=True, together=together, has_shared=has_shared)
    calls = TwoCalls(cold=rss(took), warm=rss(0), fills=(fill("data.parts", took),))
    assert against(*limit(), calls, known) is expected


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        pytest.param(29, KnownFill(nodeid="test_a", size=29 * MIB, took=29 * MIB), id="nearly"),
        pytest.param(40, KnownFill(nodeid="", size=40 * MIB, took=40 * MIB), id="in-parts"),
        pytest.param(20, KnownFill(nodeid="test_a", size=28 * MIB, took=28 * MIB), id="less"),
    ],
)
def test_who_fills_what_several_fill(together, expected) -> None:
    """It has the name of a test that fills nearly all of it alone."""
    parts = (fill("data.table", together),)
    known = known_fills(RECORD, is_complete=True, together=parts)
    assert {"data.table": expected} == known.by_holder
