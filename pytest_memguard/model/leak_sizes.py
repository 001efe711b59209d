"""How large a leak or growth is, in bytes per call, and whether it is worth a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_memguard.model.leaks import Diagnosis, LeakReading, Round, Signal

LISTED_GROWTH: Final[dict[Signal, int]] = {"blocks": 1000, "C heap": 65_536, "USS": 1_048_576}
"""Growth that is listed although it stopped; a thousand blocks are about 64 KiB."""
LISTED_COUNT: Final = 8
"""The same for files, threads and other things that are counted."""


def may_be_python_memory(diagnosis: Diagnosis, signals: Iterable[Signal]) -> bool:
    """Return whether a leak without a known holder may be Python's memory.

    It may be if blocks grew, or if one block grows in place: a value that each call replaces by
    a longer one adds bytes but no blocks, or leaves no allocation that could be distinguished.
    """
    if "blocks" in signals:
        return True
    if not diagnosis.lines:
        return "C heap" in signals
    return diagnosis.lines[0].size > 0 and diagnosis.lines[0].count < diagnosis.calls / 2


SMALL_BLOCK: Final = 256
"""If the C heap grew by fewer bytes per block, most blocks are small and not in the C heap."""


def bytes_per_call(reading: LeakReading) -> float | None:
    """Return the bytes that a call leaves behind; ``None`` if they are not known.

    The growth over all calls is known once the cause is found. Otherwise lines and rates are
    used. Without a line that shows the size of Python's blocks, resident pages are: small
    blocks are not in the C heap.
    """
    diagnosis, traced = reading.diagnosis, 0.0
    if diagnosis is not None and diagnosis.per_call is not None:
        return diagnosis.per_call
    if diagnosis is not None and diagnosis.calls:
        traced = sum(line.size for line in diagnosis.lines) / diagnosis.calls
    measured = [r.per_call for r in reading.verdict.rates if r.signal == "C heap"]
    pages = [r.per_call for r in reading.verdict.rates if r.signal == "USS"]
    blocks = sum(r.per_call for r in reading.verdict.rates if r.signal == "blocks")
    if not traced and blocks:
        if sum(measured) < SMALL_BLOCK * blocks:
            return next(iter(pages), None)
        measured += pages
    return max([traced, *measured], default=0.0) or next(iter(pages), None)


def is_worth_listing(reading: LeakReading) -> bool:
    """Return whether a cache is filling, or whether growth was large before it stopped.

    Args:
        reading: of a test that is settling.
    """
    path = reading.diagnosis.path if reading.diagnosis is not None else None
    if path is not None and path.bounded:
        return True
    return is_large(reading.verdict.rounds)


def is_large(rounds: Iterable[Round]) -> bool:
    """Return whether a signal grew by as much as is listed."""
    grown: dict[Signal, int] = {}
    for a_round in rounds:
        for signal, moved in a_round.growth:
            grown[signal] = grown.get(signal, 0) + moved
    return any(
        moved >= LISTED_GROWTH.get(signal, LISTED_COUNT) for signal, moved in grown.items()
    )


def bytes_of_all(reading: LeakReading) -> float | None:
    """Return the bytes that a call leaves behind in all leaks; ``None`` if unknown."""
    sizes = [size for size in map(bytes_per_call, reading.parts) if size is not None]
    return sum(sizes) if sizes else None
