"""What one variant used beyond another, round by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from figures import Figure, Target
from runs import PLAIN, Round, Used, Variant

Measure = Callable[[Used], float]


def cpu(used: Used) -> float:
    """Seconds of user and system time."""
    return used.cpu


def wall(used: Used) -> float:
    """Seconds by the clock."""
    return used.wall


def added(rounds: Sequence[Round], variant: Variant, measure: Measure) -> list[float]:
    """What a variant used beyond plain pytest of the same round."""
    return [measure(turn[variant.name]) - measure(turn[PLAIN.name]) for turn in rounds]


def ratios(rounds: Sequence[Round], variant: Variant, measure: Measure) -> list[float]:
    """What a variant used, over what plain pytest of the same round did."""
    return [measure(turn[variant.name]) / measure(turn[PLAIN.name]) for turn in rounds]


def lowest(rounds: Sequence[Round], variant: Variant, measure: Measure) -> float:
    """The least that a variant used in any round."""
    return min(measure(turn[variant.name]) for turn in rounds)


def lowest_added(rounds: Sequence[Round], variant: Variant) -> float:
    """CPU seconds between the lowest run of a variant and that of plain pytest."""
    return lowest(rounds, variant, cpu) - lowest(rounds, PLAIN, cpu)


def startup(
    single: Sequence[Round], variant: Variant, *, target: Target | None = None
) -> Figure:
    """What a variant adds to a run of one test, in milliseconds."""
    return Figure(
        name=f"{variant.name}: start-up added, ms",
        values=[1e3 * seconds for seconds in added(single, variant, cpu)],
        lowest=1e3 * lowest_added(single, variant),
        wall=[1e3 * seconds for seconds in added(single, variant, wall)],
        ratios=ratios(single, variant, cpu),
        target=target,
    )


def per_test(
    rounds: Sequence[Round],
    single: Sequence[Round],
    variant: Variant,
    tests: int,
    *,
    target: Target | None = None,
) -> Figure:
    """What a variant adds to every test after the first, in microseconds.

    Args:
        rounds: of a suite of many tests.
        single: of a suite of one, whose medians are taken off.
        variant: what is compared with plain pytest.
        tests: how many the suite has.
        target: what the figure should be.
    """

    def microseconds(measure: Measure) -> list[float]:
        first = median(added(single, variant, measure))
        beyond = [more - first for more in added(rounds, variant, measure)]
        return [1e6 * seconds / (tests - 1) for seconds in beyond]

    least = lowest_added(rounds, variant) - lowest_added(single, variant)
    return Figure(
        name=f"{variant.name}: added per test, us",
        values=microseconds(cpu),
        lowest=1e6 * least / (tests - 1),
        wall=microseconds(wall),
        ratios=ratios(rounds, variant, cpu),
        target=target,
    )


def plain_per_test(rounds: Sequence[Round], tests: int) -> Figure:
    """What plain pytest itself takes for a test, start-up included, in microseconds."""
    turns = [turn[PLAIN.name] for turn in rounds]
    return Figure(
        name=f"{PLAIN.name}: whole run per test, us",
        values=[1e6 * used.cpu / tests for used in turns],
        lowest=1e6 * lowest(rounds, PLAIN, cpu) / tests,
        wall=[1e6 * used.wall / tests for used in turns],
    )
