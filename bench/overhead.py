"""Overhead: what budgets, the report and pytest-memray add to an empty test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import suites
from figures import Figure, Table, at_least, at_most
from pairs import per_test, per_typical_test, plain_per_test, startup
from runs import AGAIN, BUDGET, MEMRAY, PLAIN, REPORT, rounds
from scale import Scale

PER_TEST = 60
"""Microseconds a budget may add to a test."""
TIMES_LESS = 80
"""How many times more pytest-memray must add than a budget does."""


def tables(folder: Path, scale: Scale) -> Iterator[Table]:
    """Measure start-up, then both kinds of suite."""
    variants = (PLAIN, AGAIN, BUDGET, REPORT, MEMRAY)
    single = rounds(variants, suites.functions(folder, 1), scale.startup_rounds)
    figures = [startup(single, variant) for variant in variants[1:]]
    yield Table("Overhead: start-up, one test", figures)
    for make in (suites.functions, suites.parametrised):
        suite = make(folder, scale.tests, watcher="loop")
        yield Table(
            f"Overhead: {scale.tests:,} empty tests, {make.__name__}",
            _per_test(suite, scale),
        )


def _per_test(suite: Path, scale: Scale) -> list[Figure]:
    quick = rounds((PLAIN, AGAIN, BUDGET, REPORT), suite, scale.rounds)
    slow = rounds((PLAIN, MEMRAY), suite, scale.long_rounds)
    budget = per_test(quick, BUDGET, scale.tests, target=at_most(PER_TEST))
    memray = per_test(slow, MEMRAY, scale.tests)
    return [
        plain_per_test(quick, scale.tests),
        per_test(quick, AGAIN, scale.tests),
        budget,
        per_typical_test(quick, BUDGET),
        per_test(quick, REPORT, scale.tests),
        memray,
        times_less(budget, memray),
    ]


def times_less(budget: Figure, memray: Figure) -> Figure:
    """How many times more pytest-memray adds than a budget does.

    The two take turns with plain pytest, not with each other, so every run of
    pytest-memray is compared with the median of the budget's pairs. Less than a
    microsecond counts as one.
    """
    return Figure(
        name="pytest-memray over --mem-budget, added per test",
        values=[value / max(median(budget.values), 1) for value in memray.values],
        lowest=(memray.lowest or 0) / max(budget.lowest or 0, 1),
        wall=[value / max(median(budget.wall), 1) for value in memray.wall],
        target=at_least(TIMES_LESS),
    )
