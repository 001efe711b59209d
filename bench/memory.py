"""Memory: what the plugin keeps per test, and whether its time per test stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import suites
from figures import Figure, Table, Target, at_most
from pairs import Measure, added, ratios
from runs import BOTH, PLAIN, Round, Used, rounds
from scale import Scale

BYTES = 1_024
"""What the plugin may keep of a test."""
FLAT = 1.05
"""How much steeper than in plain pytest the time per test may be."""


def tables(folder: Path, scale: Scale) -> Iterator[Table]:
    """Measure a large suite and a small one."""
    few, many = (
        rounds(
            (PLAIN, BOTH),
            suites.functions(folder, tests, watcher="quarters"),
            scale.long_rounds,
        )
        for tests in (scale.few, scale.many)
    )
    yield Table(
        f"Memory: {scale.many:,} empty tests, less {scale.few:,}",
        _kept(few, many, scale.many - scale.few),
    )
    yield Table(f"Flatness: {scale.many:,} empty tests", _flat(many, scale.many // 4))


def _kept(few: list[Round], many: list[Round], tests: int) -> list[Figure]:
    plain_few = median(resident(turn[PLAIN.name]) for turn in few)
    plain = [(resident(turn[PLAIN.name]) - plain_few) / tests for turn in many]
    return [
        Figure(name=f"{PLAIN.name}: resident at the end per test, bytes", values=plain),
        _added_bytes("resident at the end", few, many, tests, resident, at_most(BYTES)),
        _added_bytes("highest resident", few, many, tests, highest),
    ]


def _added_bytes(
    what: str,
    few: list[Round],
    many: list[Round],
    tests: int,
    measure: Measure,
    target: Target | None = None,
) -> Figure:
    before = median(added(few, BOTH, measure))
    return Figure(
        name=f"{BOTH.name}: {what}, added per test, bytes",
        values=[(more - before) / tests for more in added(many, BOTH, measure)],
        target=target,
    )


def _flat(turns: Sequence[Round], tests: int) -> list[Figure]:
    return [
        _added_time("first", turns, tests, first_quarter),
        _added_time("last", turns, tests, last_quarter),
        Figure(
            name=f"{PLAIN.name}: last quarter over first",
            values=[steepness(turn[PLAIN.name]) for turn in turns],
        ),
        Figure(
            name=f"{BOTH.name}: last quarter over first",
            values=[steepness(turn[BOTH.name]) for turn in turns],
        ),
        Figure(
            name="the latter over the former",
            values=ratios(turns, BOTH, steepness),
            target=at_most(FLAT),
        ),
    ]


def _added_time(
    word: str,
    turns: Sequence[Round],
    tests: int,
    measure: Measure,
) -> Figure:
    return Figure(
        name=f"{BOTH.name}: added per test, {word} quarter, us",
        values=[1e6 * seconds / tests for seconds in added(turns, BOTH, measure)],
    )


def first_quarter(used: Used) -> float:
    """CPU seconds of the first quarter of the tests."""
    times = used.notes["times"]
    return float(times[1] - times[0])


def last_quarter(used: Used) -> float:
    """CPU seconds of the last quarter of the tests."""
    times = used.notes["times"]
    return float(times[4] - times[3])


def steepness(used: Used) -> float:
    """What the last quarter took, over what the first one did."""
    return last_quarter(used) / first_quarter(used)


def resident(used: Used) -> float:
    """Resident bytes at the end, free pages given back."""
    return float(used.notes["resident"])


def highest(used: Used) -> float:
    """Highest resident bytes of the whole run."""
    return float(used.peak)
