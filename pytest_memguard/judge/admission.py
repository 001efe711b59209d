"""Decides which tests may start: by what they need, what is taken, and who came first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pytest_memguard.model.admission import Share, Wait

STALE_MILLISECONDS: Final = 5_000
"""Age of the last check from which on a process that waits is left out of the queue: it was
stopped, and the others would wait for it."""


def may_start(mine: Share, others: Sequence[Share], size: int, now: int) -> bool:
    """Return whether a test may start.

    It may if it is the first in the queue, and what it wants fits into what is left. One that
    wants more than that at any time starts when no other test has any part of the memory.

    Args:
        mine: the share of its process, with what it wants and its ticket.
        others: those of all other processes that live.
        size: bytes for all tests and processes.
        now: the time in milliseconds.
    """
    if any(is_ahead(other, mine, now) for other in others):
        return False
    needs = sum(other.need for other in others)
    return not needs or taken([mine, *others]) + mine.wanted <= size


def is_ahead(other: Share, mine: Share, now: int) -> bool:
    """Return whether another process waits, and came first."""
    is_waiting = other.ticket and now - other.beat <= STALE_MILLISECONDS
    return bool(is_waiting) and other.ticket < mine.ticket


def taken(shares: Iterable[Share]) -> int:
    """Return the bytes that processes hold, and that their tests were admitted with."""
    return sum(share.level + share.need for share in shares)


def wait_of(mine: Share, others: Sequence[Share]) -> Wait:
    """Return what a test waits for.

    Args:
        mine: the share of its process.
        others: those of all other processes that live.
    """
    elsewhere = [other for other in others if other.run != mine.run]
    return Wait(wanted=mine.wanted, taken=taken([mine, *others]), elsewhere=taken(elsewhere))


def next_ticket(others: Iterable[Share]) -> int:
    """Return a ticket behind all others."""
    return max((other.ticket for other in others), default=0) + 1


def median_of_run(shares: Iterable[Share]) -> int | None:
    """Return what tests need in the median; ``None`` if that is known of none.

    Args:
        shares: those of a run, each with the median of its own tests, which counts once for
            each of them.
    """
    known = sorted((share.median, share.known) for share in shares if share.known)
    if not known:
        return None
    half, seen = sum(tests for _, tests in known) / 2, 0
    for median, tests in known:
        seen += tests
        if seen >= half:
            return median
    return known[-1][0]
