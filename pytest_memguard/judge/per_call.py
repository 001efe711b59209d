"""How much stays with each call, as measured over all of them, and what lines account for it.

Lines and types are seen in a few calls under the instruments, the growth in all calls of the
check. Python's blocks of up to 512 bytes lie in arenas, where nothing but their number is
exact: how large they are, the few calls tell. Everything larger is in the C heap, whose bytes
are exact. Pages are what is left: they show what other allocators and mappings take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from math import inf
from operator import mul
from typing import Final

from pytest_memguard.judge.rounds import (
    FLOORS,
    LEAST_ROUNDS,
    RESOLUTIONS,
    latest,
    levels_of,
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import NOT_FALLING, growth_of
from pytest_memguard.judge.stepped_growth import rate_of_steps
from pytest_memguard.leaks import (
    SMALL_BLOCK,
    Blame,
    LeakLine,
    Rate,
    Round,
    Signal,
    TypeGrowth,
    Verdict,
)
from pytest_memguard.values import dataclass

LINES: Final = 10
"""Lines that are shown."""
PAGES_FACTOR: Final = 2.0
"""How many times the rest the growth of pages has to be to count in its place."""
_GROWING_ROUNDS_SHARE: Final = 2 / 3
"""Share of the rounds in which pages grow, to be named."""
_ACCOUNTED_SHARE: Final = 0.9
"""Share of the growth that lines have to show for the rest to be their own."""
_ALIKE_FACTOR: Final = 1.5
"""How many times what was seen may be what stays for types to be taken as they were seen."""
_LEAST_LEVELS: Final = 3
"""Levels that a line takes."""
_FREE_SHARE: Final = 0.5
"""Share of the growth of pages that free memory has to explain for them not to count."""
_OUTLIER_FACTOR: Final = 8.0
"""How many times as far off the rate of all others a round is that is left out."""
_SEEN_IN_HEAP_SHARE: Final = 0.1
"""Share of the bytes that were seen which the C heap has to grow by to hold them."""
_IN_PLACE_BLOCKS_PER_CALL: Final = 0.5
"""Blocks per call below which a line shows one that grows in place, or now and then."""


def measured_rate(rounds: Iterable[Round], signal: Signal) -> float | None:
    """Growth per call over the rounds a verdict rests on; None if it was not read.

    Args:
        rounds: of the check, after the warm-up.
        signal: which.
    """
    tail = latest(tuple(rounds))
    if not tail or signal not in signals_of(tail):
        return None
    return growth_of(tail, signal).rate.per_call


def scaled_to_all_calls(
    verdict: Verdict, blame: Blame, freed: int = 0
) -> tuple[Verdict, Blame]:
    """A verdict and who did it, with the numbers of all calls.

    Pages do not count that the C heap holds free by now: what is replaced by something larger
    with each call leaves a hole that the next one does not fit into.

    Args:
        verdict: leaking.
        blame: as the few calls under the instruments show it.
        freed: bytes by which free memory in the C heap grew during the check.

    Returns:
        The verdict, with the growth of pages if that is a multiple of the rest; and who did
        it, lines and types scaled to the growth over all calls.
    """
    rates = {rate.signal: rate for rate in verdict.rates}
    pages = _pages(verdict)
    scales = _scales(verdict, blame, rates, pages)
    rest = scales.small_bytes + scales.large_bytes
    unsized = "blocks" in rates and not blame.lines  # pages alone tell how large blocks are
    most = _FREE_SHARE * (pages.per_call - rest) * verdict.calls if pages is not None else 0.0
    if freed >= most > 0 and not unsized:
        pages = None
        scales = _scales(verdict, blame, rates, pages)
        rest = scales.small_bytes + scales.large_bytes
    lines = tuple(_scaled(line, scales, blame.calls) for line in blame.lines)
    known: float | None = rest or None
    if unsized and rest < SMALL_BLOCK * rates["blocks"].per_call:
        known = None  # the C heap does not have small blocks
    if pages is not None and pages.per_call >= PAGES_FACTOR * rest:
        known = pages.per_call
        if "USS" not in rates:
            verdict = replace(verdict, rates=(*verdict.rates, pages))
    types = tuple(
        _scaled_type(growth, scales.of_blocks(growth.count, blame.calls))
        for growth in blame.types
    )
    if scales.steady != scales.blocks:
        lines = tuple(sorted(lines, key=lambda line: line.size, reverse=True))
    return verdict, replace(blame, lines=lines[:LINES], types=types, per_call=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scales:
    """By how much to multiply what the few calls showed."""

    most: float
    """Blocks per call that a line can have that leaves as many in each call."""
    steady: float
    """Python's blocks of such a line, and the bytes of small ones."""
    blocks: float
    """Those of other lines."""
    arenas: float
    """Share of small blocks that are in arenas; others are in the C heap, small as they are."""
    large: float
    """Other bytes."""
    small_bytes: float
    """Bytes per call in arenas."""
    large_bytes: float
    """Bytes per call elsewhere."""

    def of_blocks(self, count: int, calls: int) -> float:
        """By how much to multiply blocks of a line, or objects of a type.

        Args:
            count: how many there are.
            calls: that left them.
        """
        return self.steady if _is_steady(count, calls, self.most) else self.blocks


def _pages(verdict: Verdict) -> Rate | None:
    """How pages grow, if they surely do, though perhaps not in every round."""
    known = next((rate for rate in verdict.rates if rate.signal == "USS"), None)
    tail = latest(verdict.rounds)
    if known is not None or not tail or "USS" not in signals_of(tail):
        return known
    growth = growth_of(tail, "USS")
    grew = sum(moved > 0 for _, moved in pairs_of(tail, "USS"))
    whole = sum(moved for _, moved in pairs_of(tail, "USS"))
    lasts = (
        growth.rate.low > 0
        and growth.rate.per_call > FLOORS["USS"]
        and growth.trend >= NOT_FALLING
        and grew >= _GROWING_ROUNDS_SHARE * len(tail)
        and whole > RESOLUTIONS["USS"] * len(tail)
    )
    return growth.rate if lasts else None


def _scales(
    verdict: Verdict, blame: Blame, rates: dict[Signal, Rate], pages: Rate | None
) -> _Scales:
    calls = max(1, blame.calls)
    small = sum(line.small for line in blame.lines) / calls
    others = [line for line in blame.lines if line.size > line.small]
    shown = sum(line.size - line.small for line in others) / calls
    heap = rates.get("C heap")
    stay, seen = _python_blocks(verdict, blame)
    blocks, arenas = _of_python(stay, seen, small, shown, heap)
    most = inf if stay is None else stay
    steady, blocks = _of_steady(most, blocks, blame)
    in_place = (
        bool(others)
        and arenas == 1
        and all(line.count < _IN_PLACE_BLOCKS_PER_CALL * calls for line in others)
    )
    shown += (1 - arenas) * small
    small = arenas * sum(
        line.small * (steady if _is_steady(line.of_python, calls, most) else blocks) / calls
        for line in blame.lines
    )
    if steady == blocks == 1 and arenas == 1 and stay is not None and seen:
        small *= max(1.0, stay / seen)  # those that no line shows are taken for alike
    if heap is not None:
        large_bytes = _of_heap(verdict, heap, pages, in_place=in_place)
        most = large_bytes if in_place else max(large_bytes, pages.per_call if pages else 0.0)
        large = _scale(most, shown, both=in_place)
    else:
        large_bytes = _unmeasured(verdict, small, shown, pages, in_place=in_place)
        large = large_bytes / shown if shown else 1.0
        if blame.path is not None:
            large_bytes = max(large_bytes, _of_table(verdict))
    return _Scales(
        most=most,
        steady=steady,
        blocks=blocks,
        arenas=arenas,
        large=large,
        small_bytes=small,
        large_bytes=large_bytes,
    )


def _python_blocks(verdict: Verdict, blame: Blame) -> tuple[float | None, float]:
    """Python's blocks that stay with each call, if they are counted, and those of the lines."""
    stay = next((r.per_call for r in verdict.rates if r.signal == "blocks"), None)
    if stay is None:
        stay = measured_rate(verdict.rounds, "blocks")
    seen = sum(line.of_python for line in blame.lines) / max(1, blame.calls)
    return (None if stay is None else max(0.0, stay)), seen


def _of_python(
    stay: float | None, seen: float, small: float, shown: float, heap: Rate | None
) -> tuple[float, float]:
    """By how much to multiply Python's blocks, and the share of small ones in arenas.

    The interpreter does not count what its code has from the C library itself. Where there
    were more blocks than stay, it is such memory if the C heap grew by as much.
    """
    if stay is None or not seen:
        return 1.0, 1.0
    uncounted = max(0.0, 1 - stay / seen)
    excess = uncounted * small
    if heap is not None and excess and heap.per_call >= _ACCOUNTED_SHARE * (shown + excess):
        return 1.0, 1 - uncounted
    return _scale(stay, seen, both=stay < 1), 1.0


def _is_steady(count: int, calls: int, most: float) -> bool:
    """Whether each call leaves as many, as far as the number of all tells.

    One more may be the table of what holds them, which was moved; one less was in memory that
    had been in use before.

    Args:
        count: blocks.
        calls: that left them.
        most: blocks per call that all lines together leave.
    """
    fits = count - 1 <= most * calls
    return fits and count + 1 >= calls > _LEAST_LEVELS and (count + 1) % calls <= 2


def _of_steady(stay: float, scale: float, blame: Blame) -> tuple[float, float]:
    """By how much to multiply blocks of lines that leave as many in each call, and of others.

    What each call leaves as many of was seen as it is. Of other lines too many are seen where
    what they leave replaces older blocks, as the nodes of a tree do, or becomes more with each
    call.

    Args:
        stay: blocks per call over all calls; infinite if they are not counted.
        scale: by how much to multiply where all are alike.
        blame: the lines.
    """
    calls = max(1, blame.calls)
    counts = [line.of_python for line in blame.lines]
    steady = sum(count for count in counts if _is_steady(count, calls, stay)) / calls
    others = sum(counts) / calls - steady
    if scale == 1 or not 0 < steady < stay or not others:
        return scale, scale
    return 1.0, (stay - steady) / others


def _unmeasured(
    verdict: Verdict, small: float, shown: float, pages: Rate | None, *, in_place: bool
) -> float:
    """Bytes per call of large blocks where the C heap did not grow in every round."""
    if not shown:
        return 0.0
    if pages is not None:
        if in_place:
            return pages.per_call
        most, heap = min(shown, pages.per_call), _of_table(verdict)
        # a list that was moved to a larger block is seen whole; the heap tells how it grew
        return min(most, heap) if heap >= _SEEN_IN_HEAP_SHARE * most else most
    tail = latest(_without_odd_one(verdict.rounds))
    if not tail or "C heap" not in signals_of(tail):
        return shown
    # what was seen in the few calls may have been one step of many
    flat = growth_of(tail, "C heap").rate
    little = shown + small <= FLOORS["USS"]
    return min(shown, max(0.0, flat.high if little else flat.per_call))


def _of_table(verdict: Verdict) -> float:
    """Growth of the C heap per call that is too uneven for a verdict.

    A dict or set becomes larger once in a while, and rarely during the few calls. What holds
    a leak is known to grow, so that is what the C heap shows.
    """
    tail = latest(_without_odd_one(verdict.rounds))
    if not tail or "C heap" not in signals_of(tail):
        return 0.0
    heap = growth_of(tail, "C heap").rate
    slope = _fitted(tail, heap)
    return slope if heap.low > 0 or slope > FLOORS["C heap"] else 0.0


def _without_odd_one(rounds: Sequence[Round]) -> Sequence[Round]:
    """The rounds, less one in which the C heap grew as in no other.

    One step tells no rate. Tables that the interpreter itself keeps, such as that of interned
    strings, become larger once in thousands of calls.
    """
    if len(rounds) <= LEAST_ROUNDS or "C heap" not in signals_of(rounds):
        return rounds
    pairs = pairs_of(rounds, "C heap")
    odd = max(range(len(pairs)), key=lambda number: pairs[number][1])
    others = (*rounds[:odd], *rounds[odd + 1 :])
    rate = growth_of(others, "C heap").rate.per_call
    off = [abs(moved - rate * calls) for calls, moved in pairs]
    return others if off[odd] > _OUTLIER_FACTOR * max(off[:odd] + off[odd + 1 :]) else rounds


def _of_heap(verdict: Verdict, heap: Rate, pages: Rate | None, *, in_place: bool) -> float:
    """Growth of the C heap per call.

    What grows in place does so in steps, and the rounds of a verdict may begin before one and
    end after another. Pages are taken as they are written to. So their growth is that of the
    heap, where it is as much and better known; else it is that of a line through the levels
    before the steps, or through all levels where no one line fits these.
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
    """The slope of a line through the levels after all rounds, by least squares."""
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


def _scale(stay: float | None, seen: float, *, both: bool) -> float:
    """What to multiply by what was seen, so that it is what stays.

    Where less was seen than stays, the rest is from other lines, unless there is but now and
    then something to see.

    Args:
        stay: measured over all calls, if it was.
        seen: in the few calls.
        both: whether there is but now and then something to see.
    """
    if stay is None or stay <= 0 or seen <= 0:
        return 1.0
    return stay / seen if both or seen >= _ACCOUNTED_SHARE * stay else 1.0


def _scaled(line: LeakLine, scales: _Scales, calls: int) -> LeakLine:
    small = scales.arenas * line.small
    others = scales.large * (line.size - small)
    blocks = scales.of_blocks(line.of_python, calls)
    of_python = blocks * line.of_python
    return replace(
        line,
        count=round(line.count - line.of_python + of_python),
        of_python=round(of_python),
        size=round(blocks * small + others),
        small=round(blocks * small),
    )


def _scaled_type(growth: TypeGrowth, scale: float) -> TypeGrowth:
    if 1 / _ALIKE_FACTOR < scale < _ALIKE_FACTOR:
        return growth  # objects are counted by themselves
    return replace(growth, count=round(scale * growth.count), size=round(scale * growth.size))
