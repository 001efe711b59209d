"""Scales what a few calls under the tracker showed to the growth over all calls of the check.

Lines and types are known from a few calls under the tracker, the growth from all calls.
Python's blocks of up to 512 bytes are in arenas: only their number is known exactly, and their
size comes from the few calls. Everything larger is in the C heap, whose bytes are exact. Memory
of other allocators and mappings shows in resident pages alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pytest_memguard.judge.growth_scales import Scales, rises_of, scales_of
from pytest_memguard.judge.rounds import (
    FLOORS,
    RESOLUTIONS,
    latest,
    pairs_of,
    signals_of,
)
from pytest_memguard.judge.slopes import NOT_FALLING, growth_of
from pytest_memguard.model.leak_sizes import SMALL_BLOCK
from pytest_memguard.model.leaks import Diagnosis, LeakLine, Rate, Signal, TypeGrowth, Verdict
from pytest_memguard.sizes import format_sizes

LINES: Final = 10
"""The number of lines that are shown."""
PAGES_FACTOR: Final = 2.0
"""How many times as large as all other growth that of pages must be to count instead."""
_GROWING_ROUNDS_SHARE: Final = 2 / 3
"""Share of the rounds in which pages must have grown."""
_ALIKE_FACTOR: Final = 1.5
"""Scales closer to 1 than this factor leave the numbers of objects as they were counted."""
_RISES: Final = "each call keeps more than the one before: {}"
_RISING: Final = "rising"
_FROM_TO: Final = "{} at first, {} at last"
_COUNTED_SHARE: Final = 0.85
"""Share of the growth of the C heap that chunks must account for to be all of it."""
_FREE_SHARE: Final = 0.5
"""Share of the growth of pages that free memory must explain for pages not to count."""


def scaled_to_all_calls(
    verdict: Verdict, diagnosis: Diagnosis, freed: int = 0
) -> tuple[Verdict, Diagnosis]:
    """Return a verdict and its cause with numbers that hold for all calls.

    Pages that the C heap holds free do not count: a block that is replaced by a larger one in
    each call leaves a free chunk that the next block does not fit into.

    Args:
        verdict: leaking.
        diagnosis: the cause as the few calls under the tracker showed it.
        freed: bytes by which free memory in the C heap grew during the check.

    Returns:
        The verdict, with the rate of pages if they grew several times as much as all else, and
        with the reason that it rises if it does; and the cause, with lines and types scaled to
        the growth over all calls.
    """
    rates = {rate.signal: rate for rate in verdict.rates}
    pages = _pages(verdict)
    scales = scales_of(verdict, diagnosis, rates, pages)
    rest = scales.small_bytes + scales.large_bytes
    unsized = "blocks" in rates and not diagnosis.lines  # only pages show their size
    most = _FREE_SHARE * (pages.per_call - rest) * verdict.calls if pages is not None else 0.0
    if freed >= most > 0 and not unsized:
        pages = None
        scales = scales_of(verdict, diagnosis, rates, pages)
        rest = scales.small_bytes + scales.large_bytes
    verdict = _with_counted_chunks(verdict, diagnosis)
    lines = tuple(_scaled(line, scales, diagnosis.calls) for line in diagnosis.lines)
    known: float | None = max(rest, _of_objects(rates, diagnosis)) or None
    if unsized and rest < SMALL_BLOCK * rates["blocks"].per_call:
        known = None  # small blocks are not in the C heap
    if pages is not None and pages.per_call >= PAGES_FACTOR * rest:
        known = pages.per_call
        if "USS" not in rates:
            verdict = replace(verdict, rates=(*verdict.rates, pages))
    types = tuple(
        _scaled_type(growth, scales.of_blocks(growth.count, diagnosis.calls))
        for growth in diagnosis.types
    )
    if scales.steady != scales.blocks:
        lines = tuple(sorted(lines, key=lambda line: line.size, reverse=True))
    rises = notes_on_rises(verdict)
    if rises:
        verdict = replace(verdict, reason=_RISING)
    return verdict, replace(
        diagnosis,
        lines=lines[:LINES],
        more_lines=max(0, len(lines) - LINES),
        types=types,
        per_call=known,
        notes=(*diagnosis.notes, *rises),
    )


def _of_objects(rates: Mapping[Signal, Rate], diagnosis: Diagnosis) -> float:
    """Return the bytes per call of small objects that become more, if no other memory grows.

    They are a part of what stays. The interpreter keeps tables of dicts for reuse, which no
    tracker sees a second time, and has others counted as large as the blocks that were seen.
    """
    calls = max(1, diagnosis.calls)
    objects = sum(growth.count for growth in diagnosis.types)
    size = sum(growth.size for growth in diagnosis.types)
    if set(rates) != {"blocks"} or objects > rates["blocks"].per_call * calls:
        return 0.0
    return (
        size / calls if all(t.size <= SMALL_BLOCK * t.count for t in diagnosis.types) else 0.0
    )


def _with_counted_chunks(verdict: Verdict, diagnosis: Diagnosis) -> Verdict:
    """Return a verdict with an interval that has what lines keep, if that is nearly all.

    Rounds show what else moved the heap as well, and not by chance alone. Lines from which
    each call leaves as many blocks show what a leak of C memory keeps to the byte.

    Args:
        verdict: leaking.
        diagnosis: the cause as the few calls under the tracker showed it.
    """
    calls, lines = max(1, diagnosis.calls), diagnosis.lines
    if any(line.count % calls or line.small or line.tables for line in lines):
        return verdict
    counted = sum(line.chunks for line in lines) / calls
    rates = tuple(
        replace(rate, low=min(rate.low, counted), high=max(rate.high, counted))
        if rate.signal == "C heap"
        and _COUNTED_SHARE * rate.per_call <= counted <= rate.per_call / _COUNTED_SHARE
        else rate
        for rate in verdict.rates
    )
    return replace(verdict, rates=rates)


def notes_on_rises(verdict: Verdict) -> tuple[str, ...]:
    """Return the note that each call keeps more than the one before, if so.

    Args:
        verdict: leaking, with its rounds.
    """
    rises = rises_of(verdict)
    texts = [
        _FROM_TO.format(f"{first:,.0f} blocks", f"{last:,.0f}")
        if signal == "blocks"
        else _FROM_TO.format(*format_sizes(first, last))
        for signal, (first, last) in rises.items()
    ]
    return (_RISES.format("; ".join(texts)),) if texts else ()


def _pages(verdict: Verdict) -> Rate | None:
    """Return the rate of resident pages if they surely grow, even if not in every round."""
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


def _scaled(line: LeakLine, scales: Scales, calls: int) -> LeakLine:
    small = scales.arenas * line.small
    others = scales.large * (line.size - small - line.in_tables)
    others += scales.tables * line.in_tables
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
        return growth  # objects were counted directly
    return replace(growth, count=round(scale * growth.count), size=round(scale * growth.size))
