"""Memory: what the plugin keeps of a test, with every report too; and its time per test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import suites
from figures import Figure, Table, Target, at_most
from pairs import Measure, added, ratios
from runs import BOTH, EVERYTHING, JUNIT, PLAIN, Round, Used, Variant, rounds
from scale import Scale

BYTES = 1_024
"""What the plugin may keep of a test."""
BYTES_OF_REPORTS = 2_048
"""What a test may add to the highest point of a run that writes every report."""
FLAT = 1.05
"""How much steeper than in plain pytest the time per test may be."""


def tables(folder: Path, scale: Scale) -> Iterator[Table]:
    """Measure large suites and a small one."""
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
    few, most = (
        rounds(
            (JUNIT, EVERYTHING),
            suites.functions(folder, tests, watcher="quarters", name="reports"),
            scale.longest_rounds,
        )
        for tests in (scale.few, scale.most)
    )
    yield Table(
        f"Memory with every report: {scale.most:,} empty tests, less {scale.few:,}",
        _with_reports(few, most, scale.most - scale.few),
    )


def _with_reports(few: list[Round], most: list[Round], tests: int) -> list[Figure]:
    reports = (EVERYTHING, JUNIT)
    return [
        _per_test("highest resident", few, most, tests, JUNIT, highest),
        _added_bytes("resident at the end", few, most, tests, resident, None, *reports),
        _added_bytes(
            "highest resident", few, most, tests, highest, at_most(BYTES_OF_REPORTS), *reports
        ),
    ]


def _kept(few: list[Round], many: list[Round], tests: int) -> list[Figure]:
    return [
        _per_test("resident at the end", few, many, tests, PLAIN, resident),
        _added_bytes("resident at the end", few, many, tests, resident, at_most(BYTES)),
        _added_bytes("highest resident", few, many, tests, highest),
    ]


def _per_test(
    what: str,
    few: list[Round],
    many: list[Round],
    tests: int,
    variant: Variant,
    measure: Measure,
) -> Figure:
    before = median(measure(turn[variant.name]) for turn in few)
    return Figure(
        name=f"{variant.name}: {what} per test, bytes",
        values=[(measure(turn[variant.name]) - before) / tests for turn in many],
    )


def _added_bytes(
    what: str,
    few: list[Round],
    many: list[Round],
    tests: int,
    measure: Measure,
    target: Target | None = None,
    variant: Variant = BOTH,
    plain: Variant = PLAIN,
) -> Figure:
    before = median(added(few, variant, measure, plain))
    return Figure(
        name=f"{variant.name}: {what}, added per test, bytes",
        values=[(more - before) / tests for more in added(many, variant, measure, plain)],
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
