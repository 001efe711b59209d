"""Bytes by which the C heap grows per call, where it grows in steps or unevenly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Final

from pytest_memguard.judge.rounds import (
    FLOORS,
    LEAST_ROUNDS,
    latest,
    levels_of,
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import growth_of
from pytest_memguard.judge.stepped_growth import rate_of_steps
from pytest_memguard.model.leaks import (
    Rate,
    Round,
    Verdict,
)

_LEAST_LEVELS: Final = 3
"""The least number of levels for a line through them."""
_SEEN_IN_HEAP_SHARE: Final = 0.1
"""Share of the bytes of the lines by which the C heap must have grown to bound them."""
_OUTLIER_FACTOR: Final = 8.0
"""How many times as far as any other round an outlier is from the rate of the others."""


def uneven_growth(
    verdict: Verdict, small: float, shown: float, pages: Rate | None, *, in_place: bool
) -> float:
    """Return the bytes per call of large blocks if the C heap did not grow in every round."""
    if not shown:
        return 0.0
    if pages is not None:
        if in_place:
            return pages.per_call
        most, heap = min(shown, pages.per_call), growth_of_table(verdict)
        # a list that moved to a larger block is seen whole; the heap shows by how much it grew
        return min(most, heap) if heap >= _SEEN_IN_HEAP_SHARE * most else most
    tail = latest(_without_outlier(verdict.rounds))
    if not tail or "C heap" not in signals_of(tail):
        return shown
    # the few calls may have shown one step of many
    flat = growth_of(tail, "C heap").rate
    is_below_floor = shown + small <= FLOORS["USS"]
    return min(shown, max(0.0, flat.high if is_below_floor else flat.per_call))


def growth_of_table(verdict: Verdict) -> float:
    """Return the growth of the C heap per call if it is too uneven for a verdict.

    The table of a dict or set is replaced by a larger one from time to time, and rarely during
    the few calls. A holder is known to grow, so the growth of the C heap is that of its table.
    """
    tail = latest(_without_outlier(verdict.rounds))
    if not tail or "C heap" not in signals_of(tail):
        return 0.0
    heap = growth_of(tail, "C heap").rate
    slope = _fitted(tail, heap)
    return slope if heap.low > 0 or slope > FLOORS["C heap"] else 0.0


def _without_outlier(rounds: Sequence[Round]) -> Sequence[Round]:
    """Return the rounds without one in which the C heap grew as in no other.

    A single step shows no rate. The interpreter's own tables, such as that of interned strings,
    grow once in thousands of calls.
    """
    if len(rounds) <= LEAST_ROUNDS or "C heap" not in signals_of(rounds):
        return rounds
    pairs = pairs_of(rounds, "C heap")
    odd = max(range(len(pairs)), key=lambda number: pairs[number][1])
    others = (*rounds[:odd], *rounds[odd + 1 :])
    rate = growth_of(others, "C heap").rate.per_call
    off = [abs(moved - rate * calls) for calls, moved in pairs]
    return others if off[odd] > _OUTLIER_FACTOR * max(off[:odd] + off[odd + 1 :]) else rounds


def growth_in_place(
    verdict: Verdict, heap: Rate, pages: Rate | None, *, in_place: bool
) -> float:
    """Return the growth of the C heap per call.

    A block that grows in place does so in steps, and the rounds of a verdict may begin just
    before one step and end just after another. Pages become resident as they are written to.
    So the rate of pages is used if it agrees with that of the heap and has a smaller interval;
    otherwise the slope of a line through the levels before the steps, or through all levels if
    no line fits those.

    Args:
        verdict: leaking.
        heap: the rate of the C heap in the rounds of the verdict.
        pages: the rate of resident pages, if they surely grow.
        in_place: whether the lines show blocks that grow in place.
    """
    if not in_place:
        return heap.per_call
    if (
        pages is not None
        and heap.low <= pages.per_call <= heap.high
        and pages.high - pages.low < heap.high - heap.low
    ):
        return pages.per_call
    steps = rate_of_steps(verdict.rounds, "C heap")
    fitted = steps.per_call if steps is not None else _fitted(verdict.rounds, heap)
    return min(heap.high, max(heap.low, fitted))


def _fitted(rounds: Sequence[Round], heap: Rate) -> float:
    """Return the slope of a line through the levels after each round, by least squares.

    Each level is weighted with the number of calls of its round.
    """
    levels = levels_of(rounds, "C heap")
    done = list(accumulate((one.calls for one in rounds), initial=0))
    if len(done) < _LEAST_LEVELS:
        return heap.per_call
    weights = [done[1], *(one.calls for one in rounds)]
    whole = sum(weights)
    x, y = (sum(map(mul, weights, values)) / whole for values in (done, levels))
    spread = sum(w * (n - x) ** 2 for w, n in zip(weights, done, strict=True))
    along = sum(
        w * (n - x) * (level - y) for w, n, level in zip(weights, done, levels, strict=True)
    )
    return float(along / spread)
