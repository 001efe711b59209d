"""Hard budgets: what they add to an empty test, beyond budgets that stop nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import suites
from figures import Figure, Table, Target, at_most
from pairs import Measure, added, loop_cpu, loop_wall, lowest
from runs import Round, Variant, rounds
from scale import Scale

PER_TEST = 30
"""Microseconds a hard budget may add to a test."""
_MEMGUARD = frozenset({"memguard"})
_FLAGS = ("--mem", "--mem-budget", "100")
SOFT = Variant(name="--mem --mem-budget 100", plugins=_MEMGUARD, flags=_FLAGS)
AGAIN = Variant(name="the same again", plugins=_MEMGUARD, flags=_FLAGS)
HARD = Variant(name="--mem-hard", plugins=_MEMGUARD, flags=(*_FLAGS, "--mem-hard"))


def tables(folder: Path, scale: Scale) -> Iterator[Table]:
    """Measure the same tests with and without."""
    suite = suites.functions(folder, scale.tests, watcher="loop")
    turns = rounds((SOFT, AGAIN, HARD), suite, scale.rounds)
    yield Table(
        f"Hard budgets: {scale.tests:,} empty tests",
        [
            _per_test(turns, AGAIN, scale.tests),
            _per_test(turns, HARD, scale.tests, target=at_most(PER_TEST)),
        ],
    )


def _per_test(
    turns: list[Round], variant: Variant, tests: int, *, target: Target | None = None
) -> Figure:
    """What a variant adds to every test after the first, in microseconds."""

    def microseconds(measure: Measure) -> list[float]:
        return [1e6 * more / (tests - 1) for more in added(turns, variant, measure, SOFT)]

    least = lowest(turns, variant, loop_cpu) - lowest(turns, SOFT, loop_cpu)
    return Figure(
        name=f"{variant.name}: added per test, us",
        values=microseconds(loop_cpu),
        lowest=1e6 * least / (tests - 1),
        wall=microseconds(loop_wall),
        target=target,
    )
