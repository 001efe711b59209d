"""By how much to multiply what few calls under the tracker showed, to get all calls."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from pytest_memguard.judge.c_heap_growth import (
    growth_in_place,
    growth_of_table,
    uneven_growth,
)
from pytest_memguard.judge.rounds import (
    latest,
    signals_of,
)
from pytest_memguard.judge.slopes import growth_of
from pytest_memguard.leaks import (
    Blame,
    Rate,
    Round,
    Signal,
    Verdict,
)
from pytest_memguard.values import dataclass

_ACCOUNTED_SHARE: Final = 0.9
"""Share of the growth that lines have to show for the rest to be their own."""
_FEW_CALLS: Final = 3
"""Calls up to which their number alone does not show that each leaves as much."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
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


def scales_of(
    verdict: Verdict, blame: Blame, rates: dict[Signal, Rate], pages: Rate | None
) -> Scales:
    """Return by how much to multiply what lines and types showed in a few calls.

    Args:
        verdict: leaking, with the growth over all calls.
        blame: what the few calls under the tracker showed.
        rates: the signals that grow, by name.
        pages: how resident pages grow, if they surely do.
    """
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
        large_bytes = growth_in_place(verdict, heap, pages, in_place=in_place)
        most = large_bytes if in_place else max(large_bytes, pages.per_call if pages else 0.0)
        large = _scale(most, shown, both=in_place)
    else:
        large_bytes = uneven_growth(verdict, small, shown, pages, in_place=in_place)
        large = large_bytes / shown if shown else 1.0
        if blame.path is not None:
            large_bytes = max(large_bytes, growth_of_table(verdict))
    return Scales(
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
    return fits and count + 1 >= calls > _FEW_CALLS and (count + 1) % calls <= 2


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
