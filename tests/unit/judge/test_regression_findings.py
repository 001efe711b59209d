"""Tests of findings on limits of the baseline, and of measuring again."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from pytest_memguard.judge.cold_and_warm import Against, KnownFill, KnownFills, TwoCalls
from pytest_memguard.judge.regression_findings import (
    after_two_calls,
    as_before,
    judged_by_group,
    number_finding,
    peak_finding,
)
from pytest_memguard.model.baselines import BaselineValue, FailRule, Fill
from pytest_memguard.model.causes import Cause
from pytest_memguard.model.measurements import Budget, Finding
from pytest_memguard.sizes import KIB, MIB
from tests.support.sample_values import heap, rss

RULE = FailRule(kind="peak", share=0.1, where="--mem-fail-on", text="peak:10%")
VALUE = BaselineValue(before=20 * MIB, rule=RULE)
BUDGET = Budget(limit=22 * MIB, where="--mem-fail-on", baseline_value=VALUE)
FOUND = Finding(rule="regression", budget=BUDGET, peak=rss(30), text="it has grown")


def rule_of(limit, stored, peak) -> str | None:
    """The rule that a peak breaks against a limit in MiB."""
    budget = replace(BUDGET, limit=int(limit * MIB), metric=peak.metric)
    finding = peak_finding(budget, stored, peak)
    return None if finding is None else finding.rule


def test_what_other_allocators_may_hide() -> None:
    """Slack of other allocators raises no doubt: it was there when the baseline was saved."""
    peak = replace(rss(21), high=30 * MIB)
    assert peak_finding(BUDGET, VALUE, peak) is not None
    assert peak_finding(BUDGET, VALUE, replace(peak, bound="foreign")) is None


@pytest.mark.parametrize(
    ("limit", "peak", "expected"),
    [
        pytest.param(22, rss(21), None, id="below"),
        pytest.param(22, rss(22), None, id="at-the-limit"),
        pytest.param(22, rss(22.01), "regression", id="above"),
        pytest.param(22, rss(22 + 1 / MIB), "regression", id="a-byte-above"),
        pytest.param(22, rss(21, 22), None, id="bound-at-the-limit"),
        pytest.param(22, rss(21, 23), "undecided", id="limit-within-the-bounds"),
        pytest.param(22, rss(22, 23), "undecided", id="at-least-the-limit"),
        pytest.param(22, rss(23, 30), "regression", id="both-bounds-above"),
        pytest.param(0.5, rss(0.7), None, id="within-the-kernel's-resolution"),
        pytest.param(0.5, rss(0.76), "regression", id="beyond-the-resolution"),
        pytest.param(0.5, rss(0.7, 0.76), "undecided", id="perhaps-beyond-the-resolution"),
        pytest.param(1, rss(1.1), "regression", id="exact-from-1-MiB-on"),
        pytest.param(0.5, heap(0.6), "regression", id="the-heap-is-exact"),
    ],
)
def test_peak(limit, peak, expected) -> None:
    """A peak above its limit is a regression, and one that may be above it is undecided."""
    assert expected == rule_of(limit, VALUE, peak)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        pytest.param(
            20 * MIB,
            "peak RSS 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 22.0 MiB",
            id="share-and-size",
        ),
        pytest.param(
            0,
            "peak RSS 30.0 MiB is 30.0 MiB above the baseline of 0 B; peak:10% "
            "(--mem-fail-on) and the noise on record allow up to 22.0 MiB",
            id="no-share-of-nothing",
        ),
    ],
)
def test_sentence(before, text) -> None:
    """The sentence has what is, by how much it is more than what was, and what is allowed."""
    budget = replace(BUDGET, baseline_value=replace(VALUE, before=before))
    finding = peak_finding(budget, budget.baseline_value, rss(30))
    assert finding == Finding(rule="regression", budget=budget, peak=rss(30), text=text)


def test_undecided_sentence() -> None:
    """An undecided comparison is reported with both bounds, the limit between them and why."""
    stored = replace(VALUE, rule=replace(RULE, kind="stage", stage="load"))
    budget = replace(BUDGET, stage="load", baseline_value=stored)
    finding = peak_finding(budget, budget.baseline_value, rss(21, 30))
    assert finding == Finding(
        rule="undecided",
        budget=budget,
        peak=rss(21, 30),
        text="peak RSS of stage 'load' lies between 21.0 MiB and 30.0 MiB, the 22.0 MiB that "
        "peak:10% (--mem-fail-on) allows in between: earlier code left slack inside the "
        "process that the kernel's mark does not show",
    )


@pytest.mark.parametrize(
    ("kind", "before", "limit", "now", "text"),
    [
        pytest.param("growth", 5 * MIB, 8 * MIB, 8 * MIB, None, id="at-the-limit"),
        pytest.param("growth", 5 * MIB, 8 * MIB, -3, None, id="less-than-nothing"),
        pytest.param(
            "growth",
            5 * MIB,
            8 * MIB,
            10 * MIB,
            "growth of resident memory 10.0 MiB is 5.0 MiB (100%) above the baseline of "
            "5.0 MiB; RULE (the marker) allows up to 8.0 MiB",
            id="growth",
        ),
        pytest.param(
            "growth",
            -MIB,
            2 * MIB,
            3 * MIB,
            "growth of resident memory 3.0 MiB is 4.0 MiB above the baseline of -1.0 MiB; "
            "RULE (the marker) allows up to 2.0 MiB",
            id="growth-where-it-shrank-before",
        ),
        pytest.param(
            "leak",
            1,
            2,
            3,
            "its leak of 3 B per call is 2 B per call (200%) above the baseline of 1 B per "
            "call; RULE (the marker) allows up to 2 B per call",
            id="leak-of-a-byte",
        ),
        pytest.param(
            "leak",
            0,
            100,
            3 * KIB,
            "its leak of 3072 B per call is 3072 B per call above the baseline of 0 B per "
            "call; RULE (the marker) allows up to 100 B per call",
            id="leak",
        ),
    ],
)
def test_number(kind, before, limit, now, text) -> None:
    """A number that is no peak is a regression above its limit; a leak's is per call."""
    rule = FailRule(kind=kind, floor=limit - before, where="the marker", text="RULE")
    stored = BaselineValue(before=before, rule=rule)
    budget = Budget(limit=limit, where="the marker", baseline_value=stored)
    found = number_finding(budget, stored, now)
    expected = text and Finding(rule="regression", budget=budget, text=text)
    assert expected == found


def two(cold, warm, *fills) -> TwoCalls:
    """Peaks of two calls in MiB, and what the first one fills."""
    found = tuple(Fill(holder=holder, size=size * MIB) for holder, size in fills)
    return TwoCalls(cold=rss(cold), warm=None if warm is None else rss(warm), fills=found)


@pytest.mark.parametrize("rule", ["regression", "undecided"])
@pytest.mark.parametrize(
    ("measured", "verdict", "expected", "text"),
    [
        pytest.param(
            [two(30, 29), two(31, 30.5)],
            Against.USE_GREW,
            "regression",
            "it has grown; measured again in a fresh process: 30.0 MiB and 31.0 MiB, and "
            "30.5 MiB when it is called once more",
            id="use-grew",
        ),
        pytest.param(
            [two(30, None)],
            Against.NOT_REPEATABLE,
            "undecided",
            "it has grown; measured again in a fresh process: 30.0 MiB; it does not pass a "
            "second time there, so what it fills for good (caches, tables) cannot be told from "
            "what each call uses: let it pass twice in one process, or leave it out with "
            "mem_regression(None)",
            id="not-repeatable",
        ),
        pytest.param(
            [],
            None,
            None,
            "it has grown; it could not be measured again in a fresh process: the child died "
            "(signal 9)",
            id="not-measured",
        ),
        pytest.param(
            [two(38, 1, ("data.table", 37), ("data.names", 1))],
            Against.FILL_GREW,
            "regression",
            "cold peak RSS 38.0 MiB is 8.0 MiB (27%) above the baseline of 30.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 33.0 MiB; the first call in a process takes 38.0 MiB "
            "and fills data.table (37.0 MiB) and 1 more, the next one takes 1.0 MiB",
            id="fill-grew",
        ),
        pytest.param(
            [two(38, 1, ("data.table", 37))],
            Against.FILL_IS_NEW,
            "regression",
            "peak RSS 38.0 MiB is 18.0 MiB (90%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 22.0 MiB; the first call in a process takes 38.0 MiB "
            "and fills data.table (37.0 MiB), the next one takes 1.0 MiB, and no test on "
            "record fills as much of that",
            id="fill-is-new",
        ),
        pytest.param(
            [two(38, 1, ("data.table", 37))],
            Against.FILL_IS_KNOWN,
            "known-fill",
            "the first call in a process takes 38.0 MiB and fills data.table (37.0 MiB), the "
            "next one takes 1.0 MiB, as on record: test_a filled it when it was saved",
            id="fill-is-known",
        ),
        pytest.param(
            [two(38, 1)],
            Against.FILL_IS_KNOWN,
            "known-fill",
            "the first call in a process takes 38.0 MiB, the next one takes 1.0 MiB, as on "
            "record",
            id="fill-without-a-name",
        ),
        pytest.param(
            [two(38, 1)],
            Against.FILL_MAY_BE_KNOWN,
            "undecided",
            "peak RSS 38.0 MiB is 18.0 MiB (90%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 22.0 MiB; the first call in a process takes "
            "38.0 MiB, the next one takes 1.0 MiB: what holds that was not found, so it may be "
            "what another test filled when the baseline was saved (--mem-accept stores it)",
            id="fill-may-be-known",
        ),
        pytest.param(
            [two(38, 1, ("data.parts", 3))],
            Against.FILL_MAY_BE_KNOWN,
            "undecided",
            "peak RSS 38.0 MiB is 18.0 MiB (90%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 22.0 MiB; the first call in a process takes "
            "38.0 MiB and fills data.parts (3.0 MiB), the next one takes 1.0 MiB: what holds "
            "the rest was not found, so it may be what another test filled when the baseline "
            "was saved (--mem-accept stores it)",
            id="a-part-has-a-name",
        ),
        pytest.param(
            [two(3, 0, ("data.parts", 1))],
            Against.FILL_IS_SMALL,
            "known-fill",
            "the first call in a process takes 3.0 MiB and fills data.parts (1.0 MiB), the "
            "next one takes 0 B; less than 2.0 MiB of anything is not on record",
            id="fill-is-small",
        ),
        pytest.param(
            [replace(two(38, 1, ("lib", 37)), imports=1)],
            Against.FILL_MAY_BE_IMPORTS,
            "undecided",
            "peak RSS 38.0 MiB is 18.0 MiB (90%) above the baseline of 20.0 MiB; peak:10% "
            "(--mem-fail-on) allows up to 22.0 MiB; the first call in a process takes 38.0 MiB "
            "and fills lib (37.0 MiB), the next one takes 1.0 MiB; the first one imports 1 "
            "module more than when the baseline was saved, which another test may have "
            "imported then (--mem-accept stores it)",
            id="fill-may-be-imports",
        ),
    ],
)
def test_after_two_calls(rule, measured, verdict, expected, text) -> None:
    """The two calls decide the rule, and the sentence has their numbers."""
    stored = replace(VALUE, cold=30 * MIB)
    finding = replace(FOUND, rule=rule, budget=replace(BUDGET, baseline_value=stored))
    found = after_two_calls(finding, measured, verdict, "the child died (signal 9)", KNOWN)
    assert replace(finding, rule=expected or rule, text=text) == found


KNOWN = KnownFills(
    is_complete=True,
    by_holder={"data.table": KnownFill(nodeid="test_a", size=37 * MIB, took=37 * MIB)},
)


def test_not_shown_again() -> None:
    """A breach that a fresh process does not show is undecided; an answered doubt is gone."""
    measured = [two(30, 29), two(20.5, 20)]
    text = (
        "it has grown; measured again in a fresh process: 30.0 MiB and 20.5 MiB, and 20.0 MiB "
        "when it is called once more, so it is not held against it (--mem-confirm); "
        "compare it by itself to decide"
    )
    found = after_two_calls(FOUND, measured, Against.NOTHING, "")
    assert replace(FOUND, rule="undecided", text=text) == found
    question = replace(FOUND, rule="undecided")
    assert after_two_calls(question, measured, Against.NOTHING, "") is None


def test_too_close() -> None:
    """A peak whose upper bound is above the limit leaves the finding what it was."""
    measured = [TwoCalls(cold=rss(21, 25), warm=rss(20))]
    found = after_two_calls(FOUND, measured, Against.TOO_CLOSE, "")
    assert found is not None
    assert found.rule == "regression"
    assert found.text.endswith("once more, which may be up to 25.0 MiB")
    measured = [TwoCalls(cold=rss(30), warm=rss(20, 24))]
    found = after_two_calls(FOUND, measured, Against.TOO_CLOSE, "")
    assert found is not None
    assert found.rule == "undecided"
    assert found.text.endswith("once more, which may be up to 24.0 MiB")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        pytest.param({}, "as much as test_a, which explains it", id="size"),
        pytest.param({"lines": ("a.py:1 (f)", "b.py:1 (g)")}, "as much as test_a*", id="lines"),
        pytest.param({"lines": ("a.py:1 (f)",)}, "a.py:1 (f) grew, as in test_a*", id="line"),
        pytest.param({"stage": "load"}, "stage 'load' grew, as in test_a*", id="stage"),
        pytest.param({"holder": "data.t", "stage": "load"}, "data.t grew, *", id="holder"),
    ],
)
def test_same_cause(cause, expected) -> None:
    """A regression with a cause that is explained elsewhere is one short sentence."""
    of_test = Cause(growth=10 * MIB, first="test_a", **cause)
    text = as_before(FOUND, of_test).text
    above = "peak RSS 30.0 MiB is 10.0 MiB (50%) above the baseline of 20.0 MiB; "
    assert fnmatchcase(text, f"{above}{expected}")
    reused = replace(FOUND, rule="undecided", peak=rss(21))
    there = above.replace("; ", " in a fresh process (here it reused freed memory); ")
    assert fnmatchcase(judged_by_group(reused, of_test).text, f"{there}{expected}")
    assert judged_by_group(replace(FOUND, rule="undecided"), of_test) == replace(
        FOUND, text=text
    )
