"""Growth in steps: does a level that stands still pause before its next step, or has it ended?

Buffers, hash tables and arenas take memory for many calls at once. What they use grows with
each call, but the level shows only what they took: it stands still, then jumps as soon as that
is used up. So before each jump, use was as high as the level, and at no time was it higher. If
one straight line fits all that, use may grow at a constant rate, however wide and far apart the
steps are. Those of a buffer that doubles are both twice as large each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Final

from pytest_memguard.judge.rounds import FLOORS, allowance, calls_of, levels_of, pairs_of
from pytest_memguard.leaks import Rate, Round, Signal
from pytest_memguard.values import dataclass

LEAST_STEPS: Final = 4
"""Steps that a rate rests on at least."""
LEAST_STEPS_OF: Final[Mapping[Signal, int]] = {"USS": 8}
"""Where more are called for. Pages stay that a call has touched, so each call that needs more
than all before it is a step. Calls on data made by chance are such records 1.1 times in two
thirds of the calls, on average, however many there are (Renyi, 1962): four times once in 40,
eight times once in 40,000."""
CLEAR_PAUSE_FACTOR: Final = 2.0
"""How many times as long as expected a pause is that ends the growth."""
ALIKE_SHARE: Final = 1 / 8
"""Share of the latest step's size that others have which tell when the next is due."""
WIDEST_STEP_FACTOR: Final = 4.0
"""How many times as large as the one before a step may be that belongs to the same growth: the
most that is common is room for four times as much each time."""
LONE_STEP_FLOORS: Final = 4
"""Floors that a step stands for at least if no other is like it: once is no rule yet."""
LARGE_STEP_FLOORS: Final = 16.0
"""Growth per call, in floors, that a step must stand for to be worth a longer pause."""
LONGEST_PAUSE_CALLS: Final = 64
"""Calls without growth that are enough after a step of any size, if it is the only one."""
LASTING_SHARE: Final = 0.7
"""Share of its rate that growth in steps keeps from the earlier half to the later."""
NOISE_FACTOR: Final = 8
"""How many times as large as the deepest drop a rise is that counts as a step."""
LINE_TOLERANCE_SHARE: Final = 0.05
"""Share of the growth by which use may be off a straight line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthStep:
    """A round in which a level rose above all before."""

    start: int
    """Calls before the round."""
    end: int
    """Calls after it."""
    before: int
    """Highest level before."""
    after: int
    """Level after it."""

    @property
    def size(self) -> int:
        """By how much."""
        return self.after - self.before

    @property
    def middle(self) -> float:
        """Calls before the step, on average."""
        return (self.start + self.end) / 2


def steps_of(rounds: Sequence[Round], signal: Signal, least: int = 0) -> list[GrowthStep]:
    """The rounds in which a signal rose above all its earlier levels.

    Args:
        rounds: in order.
        signal: which.
        least: how far it may rise without that being a step.
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
    """Calls without growth that a single step calls for: the larger it is, the more.

    Args:
        signal: which.
        size: of the step.
    """
    return min(LONGEST_PAUSE_CALLS, size / (LARGE_STEP_FLOORS * FLOORS[signal]))


def is_pausing(rounds: Sequence[Round], signal: Signal, earlier: int = 0) -> bool:
    """Whether the next step of a signal that stands still may be still to come.

    Steps do not count that were taken back or are flat by themselves, nor those that come to
    less than the floor for as many calls as have passed since, or did before; if no other is
    like them, to less than four.

    Args:
        rounds: so far; the latest without growth.
        signal: which.
        earlier: by how much it grew before these rounds.
    """
    calls = calls_of(rounds)
    if calls < least_pause(signal, earlier):
        return True
    if all(moved <= 0 for _, moved in pairs_of(rounds, signal)):
        return False  # as for most tests: there is no step
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
    """Whether the latest step is growth above the floor if it comes as rarely as it seems."""
    latest = steps[-1]
    alone = all(step.size < ALIKE_SHARE * latest.size for step in steps[:-1])
    rarely = allowance(signal, max(_pauses(steps, calls)[-2:]))
    return latest.size > (LONE_STEP_FLOORS if alone else 1) * rarely


def _expected(steps: Sequence[GrowthStep]) -> float:
    """Calls from the latest step to the next, if growth goes on as before."""
    latest = steps[-1]
    like = [step for step in steps if step.size >= ALIKE_SHARE * latest.size]
    pauses = _pauses(like, latest.end)[:-1]
    wider = latest.size / like[-2].size if len(like) > 1 else 1.0
    return max(*pauses, min(max(wider, 1.0), WIDEST_STEP_FACTOR) * pauses[-1])


def _pauses(steps: Sequence[GrowthStep], calls: int) -> list[int]:
    """Calls before, between and after some steps."""
    ends = (0, *(step.end for step in steps), calls)
    return [later - earlier for earlier, later in pairwise(ends)]


def rate_of_steps(
    rounds: Sequence[Round], signal: Signal, lasting: float = LASTING_SHARE
) -> Rate | None:
    """The constant rate that fits all steps of a signal, with its limits, if there is one.

    Args:
        rounds: those it has to hold for.
        signal: which.
        lasting: share of its rate that it has to keep from the earlier half to the later.
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
    """Lowest and highest rate of a line that comes to each step and is above no level.

    Such a line exists if no level is below what every step asks for, so each step and each
    level together are a limit of the rate, and there are no others.
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
    """Whether use grows later on at this share at least of the rate at first."""
    first, last = steps[0], steps[-1]
    half = (first.middle + last.middle) / 2
    central = min(steps[1:-1], key=lambda step: abs(step.middle - half))
    return _slope(central, last) >= share * _slope(first, central)


def _slope(first: GrowthStep, last: GrowthStep) -> float:
    """Growth per call of what was in use: it was as high as the level before each step."""
    return (last.before - first.before) / (last.middle - first.middle)


def _done(rounds: Sequence[Round]) -> list[int]:
    """Calls before and after every round."""
    return list(accumulate((a_round.calls for a_round in rounds), initial=0))


def deepest_drop(levels: Iterable[int]) -> int:
    """How far a level was below its highest at most: what it goes up and down by.

    Args:
        levels: in order.
    """
    top = drop = 0
    for level in levels:
        top = max(top, level)
        drop = max(drop, top - level)
    return drop
