"""Growth in steps: whether a flat level waits for its next step, and the rate behind the steps.

Buffers, hash tables and arenas take memory for many calls at once. What they use grows with
each call, but a level shows only what they have taken: it is flat, and jumps when that is used
up. So just before each jump use was as high as the level, and it was never higher. If one
straight line fits all these points, use may grow at a constant rate, however high and far apart
the steps are. In a buffer that doubles, each step is twice as high and comes after twice as
many calls as the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Final

from pytest_memguard.judge.rounds import FLOORS, allowance, calls_of, levels_of, pairs_of
from pytest_memguard.model.leaks import Rate, Round, Signal
from pytest_memguard.values import dataclass

LEAST_STEPS: Final = 4
"""The least number of steps for a rate."""
LEAST_STEPS_OF: Final[Mapping[Signal, int]] = {"USS": 8}
"""Signals that need more steps. Pages that a call has touched stay resident, so each call that
needs more memory than all calls before it is a step. If calls work on random data, 1.1 such
records are expected in the latest two thirds of the calls, however many calls there are
(A. Renyi, "Theorie des elements saillants d'une suite d'observations", 1962). Four come about
once in 40 times, eight once in 40,000."""
CLEAR_PAUSE_FACTOR: Final = 2.0
"""How many times as long as expected a pause must be to show that growth has ended."""
ALIKE_SHARE: Final = 1 / 8
"""Steps at least this share of the latest step's size are used to predict the next one."""
WIDEST_STEP_FACTOR: Final = 4.0
"""How many times as large as the one before a step may be and still belong to the same growth:
few containers take more than four times their size at once."""
LONE_STEP_FLOORS: Final = 4
"""How many times the floor a step must reach if no other is like it: one step shows no rate."""
LARGE_STEP_FLOORS: Final = 16.0
"""Growth per call, in floors, to which a step is spread to get the pause that it calls for."""
LONGEST_PAUSE_CALLS: Final = 64
"""Calls without growth that suffice after a single step of any size."""
LASTING_SHARE: Final = 0.7
"""Least ratio of the rate in the later half of the steps to that in the earlier half."""
NOISE_FACTOR: Final = 8
"""How many times as large as the deepest drop of the level a rise must be to be a step."""
LINE_TOLERANCE_SHARE: Final = 0.05
"""Share of the growth by which use may differ from a straight line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthStep:
    """A round in which a level rose above all earlier levels."""

    start: int
    """Number of calls made before the round."""
    end: int
    """Number of calls made up to its end."""
    before: int
    """The highest level before the round."""
    after: int
    """The level after the round."""

    @property
    def size(self) -> int:
        """By how much the level rose above the highest before."""
        return self.after - self.before

    @property
    def middle(self) -> float:
        """Number of calls up to the middle of the round: the step may be at any call of it."""
        return (self.start + self.end) / 2


def steps_of(rounds: Sequence[Round], signal: Signal, least: int = 0) -> list[GrowthStep]:
    """Return the rounds in which a signal rose above all its earlier levels.

    Args:
        rounds: the rounds, in order.
        signal: the signal.
        least: rises up to this size are no steps.
    """
    found = []
    levels = levels_of(rounds, signal)
    top = levels[0]
    for (start, end), level in zip(pairwise(_done(rounds)), levels[1:], strict=True):
        if level > top + least:
            found.append(GrowthStep(start=start, end=end, before=top, after=level))
            top = level
    return found


def least_pause(signal: Signal, size: int) -> float:
    """Return how many calls without growth must follow a single step: more after a larger one.

    Args:
        signal: the signal.
        size: the size of the step.
    """
    return min(LONGEST_PAUSE_CALLS, size / (LARGE_STEP_FLOORS * FLOORS[signal]))


def is_pausing(rounds: Sequence[Round], signal: Signal, earlier: int = 0) -> bool:
    """Return whether a signal that is flat may have another step to come.

    Some steps do not count: those that the level went back on, those within the floor of their
    own round, and those that are less than the floor of all calls of the pause before or after
    them (less than four times that, if no other step is like them).

    Args:
        rounds: the rounds so far; in the latest the signal did not grow.
        signal: the signal.
        earlier: by how much the signal grew before these rounds.
    """
    calls = calls_of(rounds)
    if calls < least_pause(signal, earlier):
        return True
    if all(moved <= 0 for _, moved in pairs_of(rounds, signal)):
        return False  # there is no step, as in most tests
    steps = [
        step
        for step in steps_of(rounds, signal)
        if step.size > allowance(signal, step.end - step.start)
    ]
    level = levels_of(rounds, signal)[-1]
    while steps and (level <= steps[-1].before or not _matters(steps, signal, calls)):
        steps.pop()
    if not steps:
        return False
    latest = steps[-1]
    due = max(CLEAR_PAUSE_FACTOR * _expected(steps), least_pause(signal, latest.size))
    return calls - latest.end < due


def _matters(steps: Sequence[GrowthStep], signal: Signal, calls: int) -> bool:
    """Return whether the latest step is above the floor of the calls between two steps."""
    latest = steps[-1]
    alone = all(step.size < ALIKE_SHARE * latest.size for step in steps[:-1])
    rarely = allowance(signal, max(_pauses(steps, calls)[-2:]))
    return latest.size > (LONE_STEP_FLOORS if alone else 1) * rarely


def _expected(steps: Sequence[GrowthStep]) -> float:
    """Return after how many calls the next step is due if growth continues as before."""
    latest = steps[-1]
    like = [step for step in steps if step.size >= ALIKE_SHARE * latest.size]
    pauses = _pauses(like, latest.end)[:-1]
    wider = latest.size / like[-2].size if len(like) > 1 else 1.0
    return max(*pauses, min(max(wider, 1.0), WIDEST_STEP_FACTOR) * pauses[-1])


def _pauses(steps: Sequence[GrowthStep], calls: int) -> list[int]:
    """Return the number of calls before, between and after steps."""
    ends = (0, *(step.end for step in steps), calls)
    return [later - earlier for earlier, later in pairwise(ends)]


def rate_of_steps(
    rounds: Sequence[Round], signal: Signal, lasting: float = LASTING_SHARE
) -> Rate | None:
    """Return the constant rate that fits all steps of a signal, with the limits of such rates.

    Args:
        rounds: the rounds that the rate has to fit.
        signal: the signal.
        lasting: least ratio of the rate in the later half to that in the earlier half.

    Returns:
        The rate; ``None`` if there are too few steps, or no constant rate fits them.
    """
    levels = levels_of(rounds, signal)
    noise = deepest_drop(levels)
    steps = steps_of(rounds, signal, NOISE_FACTOR * noise)
    if len(steps) < LEAST_STEPS_OF.get(signal, LEAST_STEPS) or not _lasts(steps, lasting):
        return None
    per_call = _slope(steps[0], steps[-1])
    tolerance = noise + LINE_TOLERANCE_SHARE * (steps[-1].before - steps[0].before)
    low, high = _limits(steps, list(zip(_done(rounds), levels, strict=True)), tolerance)
    if low > high or per_call <= FLOORS[signal]:
        return None
    return Rate(signal=signal, per_call=min(max(per_call, low), high), low=low, high=high)


def _limits(
    steps: Sequence[GrowthStep], points: Sequence[tuple[int, int]], tolerance: float
) -> tuple[float, float]:
    """Return the lowest and the highest slope of lines through all steps and above no level.

    Each pair of a step and a level limits the slope, and nothing else does: the line must have
    reached the height of the step when it came, and must not be above the level before or
    after. There is no such line if the lowest slope is above the highest.
    """
    low, high = 0.0, inf
    for step in steps:
        for calls, level in points:
            if calls < step.end:
                low = max(low, (step.before - level - tolerance) / (step.end - calls))
            elif calls > step.end:
                high = min(high, (level + tolerance - step.before) / (calls - step.end))
    return low, high


def _lasts(steps: Sequence[GrowthStep], share: float) -> bool:
    """Return whether the rate of use in the later half keeps a share of that in the earlier."""
    first, last = steps[0], steps[-1]
    half = (first.middle + last.middle) / 2
    central = min(steps[1:-1], key=lambda step: abs(step.middle - half))
    return _slope(central, last) >= share * _slope(first, central)


def _slope(first: GrowthStep, last: GrowthStep) -> float:
    """Return the growth of use per call: before each step, use was as high as the level."""
    return (last.before - first.before) / (last.middle - first.middle)


def _done(rounds: Sequence[Round]) -> list[int]:
    """Return the number of calls made before the first and after each round."""
    return list(accumulate((a_round.calls for a_round in rounds), initial=0))


def deepest_drop(levels: Iterable[int]) -> int:
    """Return the largest fall of a level below its highest so far: its noise.

    Args:
        levels: the levels, in order.
    """
    top = drop = 0
    for level in levels:
        top = max(top, level)
        drop = max(drop, top - level)
    return drop
