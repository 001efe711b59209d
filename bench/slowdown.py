"""Slowdown: how much longer a test takes that does little but allocate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import suites
from figures import Figure, Table, Target, at_most
from pairs import cpu, lowest, ratios
from runs import AGAIN, BUDGET, IDLE, PLAIN, Round, Used, Variant, rounds
from scale import Scale

RATIO = 1.02
"""The most that noise may add."""


def tables(folder: Path, scale: Scale) -> Iterator[Table]:
    """Measure a long test with and without a budget, then short ones in one process."""
    suite = suites.work(folder, scale.repeats)
    turns = rounds((PLAIN, AGAIN, BUDGET), suite, scale.rounds)
    yield Table(
        "Slowdown: one test that allocates, its own time",
        [
            Figure(
                name=f"{PLAIN.name}: seconds",
                values=[_own_cpu(turn[PLAIN.name]) for turn in turns],
                lowest=lowest(turns, PLAIN, _own_cpu),
                wall=[_own_wall(turn[PLAIN.name]) for turn in turns],
            ),
            _ratio(turns, AGAIN),
            _ratio(turns, BUDGET, at_most(RATIO)),
        ],
    )
    suite = suites.turns(folder, scale.pairs)
    turns = rounds((PLAIN, IDLE), suite, scale.long_rounds)
    yield Table(
        "Slowdown: tests that allocate, in one process, theirs",
        [
            _within(turns, PLAIN, "plugin blocked, noise alone"),
            _within(turns, IDLE, "with a marker over without", at_most(RATIO)),
        ],
    )


def _within(
    turns: Sequence[Round], variant: Variant, name: str, target: Target | None = None
) -> Figure:
    runs = [turn[variant.name].notes for turn in turns]
    return Figure(
        name=name,
        values=[
            after / before
            for run in runs
            for before, after in zip(run["without"], run["with"], strict=True)
        ],
        lowest=_least(runs, "with") / _least(runs, "without"),
        target=target,
    )


def _least(runs: Sequence[Mapping[str, list[float]]], kind: str) -> float:
    return min(min(run[kind]) for run in runs)


def _ratio(
    turns: Sequence[Round],
    variant: Variant,
    target: Target | None = None,
) -> Figure:
    return Figure(
        name=f"{variant.name} over {PLAIN.name}",
        values=ratios(turns, variant, _own_cpu),
        lowest=lowest(turns, variant, _own_cpu) / lowest(turns, PLAIN, _own_cpu),
        wall=ratios(turns, variant, _own_wall),
        ratios=ratios(turns, variant, cpu),
        target=target,
    )


def _own_cpu(used: Used) -> float:
    return float(used.notes["cpu"])


def _own_wall(used: Used) -> float:
    return float(used.notes["wall"])
