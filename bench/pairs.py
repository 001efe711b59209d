"""What one variant used beyond another, round by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from figures import Figure, Target
from runs import PLAIN, Round, Used, Variant

Measure = Callable[[Used], float]


def cpu(used: Used) -> float:
    """Seconds of user and system time."""
    return used.cpu


def wall(used: Used) -> float:
    """Seconds by the clock."""
    return used.wall


def added(
    rounds: Sequence[Round], variant: Variant, measure: Measure, plain: Variant = PLAIN
) -> list[float]:
    """What a variant used beyond plain pytest of the same round."""
    return [measure(turn[variant.name]) - measure(turn[plain.name]) for turn in rounds]


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


def loop_cpu(used: Used) -> float:
    """Seconds of user and system time from the second test to the last."""
    return float(used.notes["cpu"])


def loop_wall(used: Used) -> float:
    """The same by the clock."""
    return float(used.notes["wall"])


def typical(used: Used) -> float:
    """Seconds of user and system time of the test in the middle."""
    return float(used.notes["typical"])


def per_test(
    rounds: Sequence[Round], variant: Variant, tests: int, *, target: Target | None = None
) -> Figure:
    """What a variant adds to every test after the first, in microseconds.

    Args:
        rounds: of a suite of many tests that bears the watcher ``loop``.
        variant: what is compared with plain pytest.
        tests: how many the suite has.
        target: what the figure should be.
    """

    def microseconds(measure: Measure) -> list[float]:
        return [1e6 * more / (tests - 1) for more in added(rounds, variant, measure)]

    least = lowest(rounds, variant, loop_cpu) - lowest(rounds, PLAIN, loop_cpu)
    return Figure(
        name=f"{variant.name}: added per test, us",
        values=microseconds(loop_cpu),
        lowest=1e6 * least / (tests - 1),
        wall=microseconds(loop_wall),
        ratios=ratios(rounds, variant, loop_cpu),
        target=target,
    )


def per_typical_test(rounds: Sequence[Round], variant: Variant) -> Figure:
    """What a variant adds to the test in the middle, in microseconds."""
    least = lowest(rounds, variant, typical) - lowest(rounds, PLAIN, typical)
    return Figure(
        name=f"{variant.name}: added to the median test, us",
        values=[1e6 * more for more in added(rounds, variant, typical)],
        lowest=1e6 * least,
        ratios=ratios(rounds, variant, typical),
    )


def plain_per_test(rounds: Sequence[Round], tests: int) -> Figure:
    """What plain pytest itself takes for a test, in microseconds."""
    turns = [turn[PLAIN.name] for turn in rounds]
    return Figure(
        name=f"{PLAIN.name}: per test, us",
        values=[1e6 * loop_cpu(used) / (tests - 1) for used in turns],
        lowest=1e6 * lowest(rounds, PLAIN, loop_cpu) / (tests - 1),
        wall=[1e6 * loop_wall(used) / (tests - 1) for used in turns],
    )
