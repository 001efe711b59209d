"""The factors that scale what a few calls under the tracker showed to all calls of a check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from typing import Final

from pytest_memguard.judge.c_heap_growth import (
    growth_in_place,
    growth_of_table,
    uneven_growth,
)
from pytest_memguard.judge.rounds import (
    LEAST_ROUNDS,
    calls_of,
    latest,
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import growth_of
from pytest_memguard.model.leaks import (
    Diagnosis,
    Rate,
    Round,
    Signal,
    Verdict,
)
from pytest_memguard.values import dataclass

_ACCOUNTED_SHARE: Final = 0.9
"""Share of the growth that lines must show for the rest to be attributed to them as well."""
_NEARLY_ALL: Final = 0.85
"""Share of the blocks of steady lines that the interpreter must count for all to be right."""
_FEW_CALLS: Final = 3
"""Up to so many calls a count does not show whether each call leaves as many blocks."""
_CLEARLY_MORE: Final = 1.25
"""How many times the growth of the first round that of the last one is where it rises."""
_MUCH_LESS: Final = 0.75
"""The share of the highest growth of a round below which another round grew much less."""
_BYTES: Final[tuple[Signal, ...]] = ("C heap", "USS")
_IN_PLACE_BLOCKS_PER_CALL: Final = 0.5
"""A line with fewer blocks per call has one that grows in place, or leaks in few calls."""


def measured_rate(rounds: Iterable[Round], signal: Signal) -> float | None:
    """Return the growth of a signal per call; ``None`` if it was not read.

    Args:
        rounds: all rounds of the check, without the warm-up.
        signal: the signal.
    """
    tail = latest(tuple(rounds))
    if not tail or signal not in signals_of(tail):
        return None
    return growth_of(tail, signal).rate.per_call


def rising_rates(rounds: Iterable[Round], signal: Signal) -> tuple[float, float] | None:
    """Return the growth per call in the first and the last round, if it rose in every round.

    Args:
        rounds: all rounds of the check, without the warm-up.
        signal: the signal.
    """
    tail = latest(tuple(rounds))
    if len(tail) < LEAST_ROUNDS or signal not in signals_of(tail):
        return None
    rates = [moved / calls for calls, moved in pairs_of(tail, signal)]
    rises = all(one < other for one, other in pairwise(rates))
    if not rises or not 0 < _CLEARLY_MORE * rates[0] < rates[-1]:
        return None
    return (rates[0], rates[-1])


def rises_of(verdict: Verdict) -> dict[Signal, tuple[float, float]]:
    """Return the growth per call in the first and the last round, of signals in which it rose.

    Args:
        verdict: leaking, with its rounds. Bytes are those of the C heap, or of resident pages
            if the heap does not grow.
    """
    grow = [rate.signal for rate in verdict.rates]
    in_bytes = next((signal for signal in _BYTES if signal in grow), None)
    found = {}
    signals: tuple[Signal | None, ...] = ("blocks", in_bytes)
    for signal in signals:
        if signal is None or signal not in grow:
            continue
        rates = rising_rates(verdict.rounds, signal)
        if rates is not None:
            found[signal] = rates
    return found


def is_uneven(rounds: Iterable[Round], signal: Signal) -> bool:
    """Return whether a signal grew much less in some rounds than in others.

    Then not every call leaks: one may find an entry of an earlier call in the registry that it
    adds to, as where the key is the address of an object.

    Args:
        rounds: all rounds of the check, without the warm-up.
        signal: the signal.
    """
    tail = latest(tuple(rounds))
    if len(tail) < LEAST_ROUNDS or signal not in signals_of(tail):
        return False
    rates = [moved / calls for calls, moved in pairs_of(tail, signal)]
    return min(rates) < _MUCH_LESS * max(rates) and rising_rates(tail, signal) is None


def rate_after(rounds: Sequence[Round], signal: Signal, calls: int) -> float | None:
    """Return the growth of a signal per call some calls later; ``None`` if it was not read.

    Args:
        rounds: all rounds of the check, without the warm-up.
        signal: the signal.
        calls: the number of calls since the last round.
    """
    rates = rising_rates(rounds, signal)
    if rates is None:
        return measured_rate(rounds, signal)
    first, last = rates
    return last + (last - first) * calls / max(1, calls_of(latest(rounds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Factors for what the few calls showed, and what they add up to.

    A line is steady if each call leaves the same number of blocks.
    """

    most: float
    """The most blocks per call that a steady line can have."""
    steady: float
    """Factor for Python's blocks of a steady line, and for their bytes in arenas."""
    blocks: float
    """The same factor for other lines."""
    arenas: float
    """Share of the small blocks that is in arenas; the others are in the C heap."""
    large: float
    """Factor for all other bytes."""
    tables: float
    """The same factor for what many tables have grown by."""
    small_bytes: float
    """Bytes per call in arenas, over all calls."""
    large_bytes: float
    """Bytes per call elsewhere, over all calls."""

    def of_blocks(self, count: int, calls: int) -> float:
        """Return the factor for the blocks of a line, or the objects of a type.

        Args:
            count: the number of blocks or objects.
            calls: the number of calls that left them.
        """
        return self.steady if _is_steady(count, calls, self.most) else self.blocks


def scales_of(
    verdict: Verdict, diagnosis: Diagnosis, rates: dict[Signal, Rate], pages: Rate | None
) -> Scales:
    """Return the factors for the lines and types of a leak.

    Args:
        verdict: leaking, with the growth over all calls.
        diagnosis: the cause as the few calls under the tracker showed it.
        rates: the rates of the signals that grow.
        pages: the rate of resident pages, if they surely grow.
    """
    calls = max(1, diagnosis.calls)
    small = sum(line.small for line in diagnosis.lines) / calls
    others = [line for line in diagnosis.lines if line.size > line.small]
    shown = sum(line.size - line.small for line in others) / calls
    heap = rates.get("C heap")
    stay, seen = _python_blocks(verdict, diagnosis)
    blocks, arenas = _of_python(stay, seen, small, shown, heap)
    most = inf if stay is None else stay
    steady, blocks = _of_steady(most, blocks, diagnosis)
    in_place = (
        bool(others)
        and arenas == 1
        and all(line.count + line.tables < _IN_PLACE_BLOCKS_PER_CALL * calls for line in others)
    )
    shown += (1 - arenas) * small
    small = arenas * sum(
        line.small * (steady if _is_steady(line.of_python, calls, most) else blocks) / calls
        for line in diagnosis.lines
    )
    if steady == blocks == 1 and arenas == 1 and stay is not None and seen:
        small += _of_others(stay - seen, small / seen, diagnosis)
    tables = sum(line.in_tables for line in others) / calls
    if heap is not None:
        large_bytes = growth_in_place(verdict, heap, pages, in_place=in_place)
        stays = large_bytes if in_place else max(large_bytes, pages.per_call if pages else 0.0)
        chunks = sum(max(line.chunks, line.size - line.small) for line in others) / calls
        # the heap counts chunks, which are larger than the requests that the tracker shows
        large = _scale(stays, shown, both=in_place or chunks >= _ACCOUNTED_SHARE * stays)
    else:
        large_bytes = uneven_growth(verdict, small, shown, pages, in_place=in_place)
        large = large_bytes / shown if shown else 1.0
        if diagnosis.path is not None:
            large_bytes = max(large_bytes, growth_of_table(verdict))
        if tables > 0 and not in_place:
            # items were added, though tables that grow together do so once in many calls
            large_bytes = max(large_bytes, shown)
    beside = shown - tables
    of_tables = large
    if tables > 0 and beside < large_bytes and not in_place:
        # how long the containers are by then makes a difference; the others are as they are
        large, of_tables = 1.0, (large_bytes - beside) / tables
    return Scales(
        most=most,
        steady=steady,
        blocks=blocks,
        arenas=arenas,
        large=large,
        tables=of_tables,
        small_bytes=small,
        large_bytes=large_bytes,
    )


def _of_others(others: float, size: float, diagnosis: Diagnosis) -> float:
    """Return the bytes per call of blocks that no line shows.

    Args:
        others: their number per call, at least 0.
        size: bytes of those that lines show, on average; others count as alike if nothing is
            known of them.
        diagnosis: the cause, with the number and the bytes of those of which more is known.
    """
    calls = max(1, diagnosis.calls)
    known = min(max(0.0, others), diagnosis.unnamed / calls)
    unnamed = diagnosis.unnamed_small / max(1, diagnosis.unnamed)
    return known * unnamed + (max(0.0, others) - known) * size


def _python_blocks(verdict: Verdict, diagnosis: Diagnosis) -> tuple[float | None, float]:
    """Return the number of Python's blocks that stay per call: over all calls, and by lines.

    The first is ``None`` if the interpreter does not count its blocks.
    """
    stay = next((r.per_call for r in verdict.rates if r.signal == "blocks"), None)
    if stay is None:
        stay = measured_rate(verdict.rounds, "blocks")
    seen = sum(line.of_python for line in diagnosis.lines) / max(1, diagnosis.calls)
    return (None if stay is None else max(0.0, stay)), seen


def _of_python(
    stay: float | None, seen: float, small: float, shown: float, heap: Rate | None
) -> tuple[float, float]:
    """Return the factor for Python's blocks, and the share of small ones in arenas.

    The interpreter does not count blocks that its own code gets directly from the C library. If
    the lines have more blocks than stay by its count, and the C heap grew by as much, the
    excess consists of such blocks.
    """
    if stay is None or not seen:
        return 1.0, 1.0
    uncounted = max(0.0, 1 - stay / seen)
    excess = uncounted * small
    if heap is not None and excess and heap.per_call >= _ACCOUNTED_SHARE * (shown + excess):
        return 1.0, 1 - uncounted
    return _scale(stay, seen, both=stay < 1), 1.0


def _is_steady(count: int, calls: int, most: float) -> bool:
    """Return whether a number of blocks may come from calls that leave the same number each.

    There may be one block more, a larger table of the container that holds them; or one fewer,
    which reused memory from before.

    Args:
        count: the number of blocks.
        calls: the number of calls that left them.
        most: the number of blocks per call that all lines together leave.
    """
    fits = count - 1 <= most * calls
    return fits and count + 1 >= calls > _FEW_CALLS and (count + 1) % calls <= 2


def _of_steady(stay: float, scale: float, diagnosis: Diagnosis) -> tuple[float, float]:
    """Return the factors for the blocks of steady lines, and of other lines.

    The few calls show steady lines as they are. Of other lines they show too many blocks if
    new blocks replace older ones, like the nodes of a tree, or if each call leaves more.

    Args:
        stay: blocks per call over all calls; infinite if they are not counted.
        scale: the factor if all lines are alike.
        diagnosis: the cause, with the lines.
    """
    calls = max(1, diagnosis.calls)
    counts = [line.of_python for line in diagnosis.lines]
    steady = sum(count for count in counts if _is_steady(count, calls, stay)) / calls
    others = sum(counts) / calls - steady
    whole = all(count % calls == 0 for count in counts)
    if whole and not others and _NEARLY_ALL <= scale < 1:
        return 1.0, 1.0  # some are blocks that the interpreter does not count: locks
    if scale == 1 or not 0 < steady < stay or not others:
        return scale, scale
    return 1.0, (stay - steady) / others


def _scale(stay: float | None, seen: float, *, both: bool) -> float:
    """Return the factor from what the few calls showed to what stays over all calls.

    If they showed clearly less, the rest comes from other lines and the factor is 1.

    Args:
        stay: growth per call over all calls; ``None`` if it was not measured.
        seen: growth per call in the few calls.
        both: whether to scale in that case too: some growth shows in few calls only.
    """
    if stay is None or stay <= 0 or seen <= 0:
        return 1.0
    return stay / seen if both or seen >= _ACCOUNTED_SHARE * stay else 1.0
