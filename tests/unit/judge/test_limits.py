"""Tests of the limits that the baseline sets: rule, noise, and baseline values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_memguard.judge.limits import is_by_noise, limits
from pytest_memguard.model.baselines import BaselineEntry, BaselineValue, FailRule, StageEntry
from pytest_memguard.model.measurements import Budget
from pytest_memguard.model.metrics import remember_unit
from pytest_memguard.options.rules import parse_rule
from pytest_memguard.sizes import KIB, MIB

ENTRY = BaselineEntry(peak=100 * MIB, growth=0)
STAGES = replace(
    ENTRY,
    stages=(
        StageEntry(path="load", peak=40 * MIB, delta=0),
        StageEntry(path="load/parse", peak=60 * MIB, delta=0, ceiling=80 * MIB),
    ),
)


def written(*texts: str, where: str = "--mem-fail-on") -> tuple[FailRule, ...]:
    """Rules as the user wrote them."""
    return tuple(parse_rule(text, where) for text in texts)


def allowed(entry, *texts, metric="rss") -> dict[tuple[str, str | None], int]:
    """The limit on each thing, by the rule's kind and the stage."""
    found = limits(entry, written(*texts), metric)
    return {
        (budget.baseline_value.rule.kind, budget.stage): budget.limit
        for budget in found
        if budget.baseline_value is not None
    }


PEAK, GROWTH, LEAK = ("peak", None), ("growth", None), ("leak", None)


@pytest.mark.parametrize(
    ("entry", "rules", "expected"),
    [
        pytest.param(ENTRY, (), {}, id="no-rules"),
        pytest.param(ENTRY, ("peak:10%",), {PEAK: 110 * MIB}, id="share"),
        pytest.param(ENTRY, ("peak:7MB",), {PEAK: 107 * MIB}, id="size"),
        pytest.param(ENTRY, ("peak:10%+20MB",), {PEAK: 120 * MIB}, id="both-must-be-exceeded"),
        pytest.param(ENTRY, ("peak:0%",), {PEAK: 105 * MIB}, id="noise-of-one-reading"),
        pytest.param(
            replace(ENTRY, readings=2, spread=10 * MIB),
            ("peak:0%",),
            {PEAK: 100 * MIB + int((3 / 1.128 - 0.5) * 10 * MIB)},
            id="noise-of-two-readings",
        ),
        pytest.param(
            ENTRY, ("peak:20%", "peak:10%", "peak:15MB"), {PEAK: 110 * MIB}, id="the-tightest"
        ),
        pytest.param(
            replace(ENTRY, ceiling=120 * MIB), ("peak:10%",), {PEAK: 132 * MIB}, id="ceiling"
        ),
        pytest.param(ENTRY, ("growth:8MB",), {GROWTH: 8 * MIB}, id="growth"),
        pytest.param(
            replace(ENTRY, growth=2 * MIB), ("growth:0%",), {GROWTH: 7 * MIB}, id="growth-noise"
        ),
        pytest.param(
            replace(ENTRY, growth=-90 * MIB),
            ("growth:8MB",),
            {GROWTH: 8 * MIB},
            id="less-than-none",
        ),
        pytest.param(ENTRY, ("leak:9",), {}, id="leak-not-checked-before"),
        pytest.param(replace(ENTRY, leak=0.0), ("leak:9",), {LEAK: 9}, id="no-leak-before"),
        pytest.param(replace(ENTRY, leak=99.6), ("leak:10%",), {LEAK: 110}, id="leak-before"),
        pytest.param(ENTRY, ("stage:*:10%",), {}, id="no-stages"),
        pytest.param(
            STAGES, ("stage:load:50%",), {("stage", "load"): 60 * MIB}, id="one-stage"
        ),
        pytest.param(
            STAGES,
            ("stage:parse:50%",),
            {("stage", "load/parse"): 120 * MIB},
            id="a-stage-in-another-with-its-ceiling",
        ),
        pytest.param(
            STAGES,
            ("stage:*:50%", "stage:load:25%", "peak:10%"),
            {
                ("stage", "load"): 50 * MIB,
                ("stage", "load/parse"): 120 * MIB,
                PEAK: 110 * MIB,
            },
            id="every-stage-and-one-of-them",
        ),
    ],
)
def test_limits(entry, rules, expected) -> None:
    """A limit is the baseline value and what rule or noise allows on top of it."""
    assert expected == allowed(entry, *rules)


def test_limits_of_other_metrics() -> None:
    """Other metrics have limits on peaks alone, and less noise."""
    entry = replace(STAGES, growth=MIB, leak=5.0)
    rules = ("peak:0%", "growth:1MB", "leak:9", "stage:load:10%")
    assert allowed(entry, *rules, metric="heap") == {
        PEAK: 101 * MIB,
        ("stage", "load"): 44 * MIB,
    }


def test_what_a_limit_knows() -> None:
    """A limit has the rule, who set it, what was, and what it cannot have exceeded."""
    (rule,) = written("peak:10%", where="the marker")
    exact = replace(ENTRY, imports=3)
    assert limits(exact, [rule], "rss") == [
        Budget(
            limit=110 * MIB,
            where="the marker",
            baseline_value=BaselineValue(before=100 * MIB, rule=rule, imports=3),
        )
    ]
    (found,) = limits(replace(exact, ceiling=110 * MIB), [rule], "rss")
    assert found.baseline_value == BaselineValue(
        before=110 * MIB, low=100 * MIB, rule=rule, imports=3
    )


def test_small_peaks() -> None:
    """Half a MiB is allowed on top of the smallest peak of resident memory."""
    assert allowed(BaselineEntry(peak=4 * KIB, growth=0), "peak:0%") == {PEAK: 516 * KIB}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param("peak:10%", False, id="the-rule-allows-more"),
        pytest.param("peak:1%", True, id="noise-allows-more"),
        pytest.param("peak:5%", False, id="as-much"),
    ],
)
def test_by_noise(rule, expected) -> None:
    """A limit knows whether noise allows more than its rule."""
    (found,) = limits(ENTRY, written(rule), "rss")
    assert expected == is_by_noise(found)
    assert not is_by_noise(replace(found, baseline_value=None))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("peak", 1), ("leak", 0)],
)
def test_least(kind, expected) -> None:
    """A peak of nothing may be a byte next time, a leak of nothing may not."""
    entry = BaselineEntry(peak=0, growth=0, readings=5, leak=0.0)
    metric = "heap" if kind == "peak" else "rss"
    (found,) = limits(entry, written(f"{kind}:0%"), metric)
    assert found.limit == expected


@given(peak=st.integers(1, 10**6), share=st.integers(1, 90))
def test_counts(peak, share) -> None:
    """Numbers that are counted one by one have no noise, and no floor in bytes."""
    remember_unit("things", "things")
    entry = BaselineEntry(peak=peak, growth=0, imports=7)
    (found,) = limits(entry, written(f"peak:{share}%+2MB"), "things")
    assert found.limit == peak + int(share / 100 * peak)
    (found,) = limits(entry, written("peak:5MB"), "things")
    assert found.limit == peak + int(0.1 * peak)
