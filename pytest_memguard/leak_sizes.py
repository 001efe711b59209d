"""How much a leak check found, in bytes per call, and whether that is worth a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_memguard.leaks import Blame, LeakReading, Round, Signal

LISTED_GROWTH: Final[dict[Signal, int]] = {"blocks": 1000, "C heap": 65_536, "USS": 1_048_576}
"""Growth that is listed although it stopped: a thousand blocks are about 64 KiB, and
pages come and go."""
LISTED_COUNT: Final = 8
"""The same for files, threads and whatever else is counted."""


def may_be_python_memory(blame: Blame, signals: Iterable[Signal]) -> bool:
    """Whether what nobody seems to hold may be Python's: blocks, or one that grows.

    Of one that is replaced by a longer one with each call, the bytes alone become more, or no
    allocation is left that could be told from others.
    """
    if "blocks" in signals:
        return True
    if not blame.lines:
        return "C heap" in signals
    return blame.lines[0].size > 0 and blame.lines[0].count < blame.calls / 2


SMALL_BLOCK: Final = 256
"""Bytes of the C heap per block below which most blocks are small ones, which are not there."""


def bytes_per_call(reading: LeakReading) -> float | None:
    """Bytes a call leaves behind, if anything tells.

    They were measured over all calls of the check, and shared out among lines by the few calls
    under the instruments. Of a reading that has no such number, lines and rates tell. Where no
    line tells how large Python's blocks are, pages do; the C heap does not have small ones.
    """
    blame, traced = reading.blame, 0.0
    if blame is not None and blame.per_call is not None:
        return blame.per_call
    if blame is not None and blame.calls:
        traced = sum(line.size for line in blame.lines) / blame.calls
    measured = [r.per_call for r in reading.verdict.rates if r.signal == "C heap"]
    pages = [r.per_call for r in reading.verdict.rates if r.signal == "USS"]
    blocks = sum(r.per_call for r in reading.verdict.rates if r.signal == "blocks")
    if not traced and blocks:
        if sum(measured) < SMALL_BLOCK * blocks:
            return next(iter(pages), None)
        measured += pages
    return max([traced, *measured], default=0.0) or next(iter(pages), None)


def is_worth_listing(reading: LeakReading) -> bool:
    """Whether a cache is filling, or what grew and stopped came to a stated size.

    Args:
        reading: of a test that is settling.
    """
    path = reading.blame.path if reading.blame is not None else None
    if path is not None and path.bounded:
        return True
    return is_large(reading.verdict.rounds)


def is_large(rounds: Iterable[Round]) -> bool:
    """Whether what grew in some rounds came to a stated size."""
    grown: dict[Signal, int] = {}
    for a_round in rounds:
        for signal, moved in a_round.growth:
            grown[signal] = grown.get(signal, 0) + moved
    return any(
        moved >= LISTED_GROWTH.get(signal, LISTED_COUNT) for signal, moved in grown.items()
    )


def bytes_of_all(reading: LeakReading) -> float | None:
    """Bytes a call leaves behind in all leaks of a test together, if anything tells."""
    sizes = [size for size in map(bytes_per_call, reading.parts) if size is not None]
    return sum(sizes) if sizes else None
