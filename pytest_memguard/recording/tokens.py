"""This process's part in the memory that all runs of a user share: it asks and gives back."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pytest_memguard.judge.admission import (
    is_ahead,
    may_start,
    median_of_run,
    next_ticket,
    taken,
    wait_of,
)
from pytest_memguard.model.admission import SMALL, Admission, Need, Share, Wait
from pytest_memguard.recording.token_file import TokenFile

_PAUSE_AT_HEAD: Final = 0.004
_PAUSE_BEHIND: Final = 0.02
"""Seconds between two checks of a test that waits: first in the queue, and behind others."""

ALONE: Final = "nothing is known yet: it runs alone"
MEDIAN: Final = "the median of this run"


class Tokens:
    """Asks for memory for one test after the other.

    Args:
        file: where all processes write what they have.
        run: number of the run.
        size: bytes for all tests and processes.
        level: returns the bytes that this process has for itself.
        pid: number of this process.
    """

    def __init__(
        self, file: TokenFile, run: int, size: int, level: Callable[[], int], pid: int
    ) -> None:
        # held here, not looked up: tests replace what they find in modules
        self._sleep, self._now = time.sleep, time.monotonic
        self._file = file
        self._size = size
        self._level = level
        self._known: list[int] = []
        self._noted = 0
        self._median: int | None = None
        self._share = Share(run=run, pid=pid, level=level())
        with file.locked():
            file.put(self._share)

    @property
    def median(self) -> int | None:
        """What tests of this run need in the median, in bytes; ``None`` if it is not known."""
        return self._median

    @property
    def is_small_now(self) -> bool:
        """Whether a test of which nothing is known is expected to need next to nothing."""
        return self._median is not None and self._median < SMALL

    @property
    def run(self) -> int:
        """Number of the run."""
        return self._share.run

    def look(self) -> list[Share]:
        """Return what all processes have, without waiting for any of them."""
        return self._file.look()

    def ask(
        self, need: Need | None, test: int, waits: Callable[[Wait], None], patience: float = 0
    ) -> Admission:
        """Return once a test may start.

        Args:
            need: what it is expected to need; ``None`` if nothing is known of it.
            test: its index, for those who show what waits.
            waits: called once if it has waited for as long as ...
            patience: ... so many seconds.

        Raises:
            OSError: if the file can no longer be used.
        """
        start, has_reported, elsewhere = self._now(), False, -1
        self._share = replace(self._share, level=self._level(), test=test)
        try:
            while True:
                with self._file.locked():
                    others = self._file.others()
                    admission = self._try(need, others)
                waited = self._now() - start
                if admission is not None:
                    break
                wait = wait_of(self._share, others)
                elsewhere = max(elsewhere, wait.elsewhere)
                if not has_reported and waited >= patience:
                    has_reported = True
                    waits(wait)
                is_behind = any(is_ahead(o, self._share, self._share.beat) for o in others)
                self._sleep(_PAUSE_BEHIND if is_behind else _PAUSE_AT_HEAD)
        except BaseException:  # the run is interrupted: others must not wait for this test
            self._put(wanted=0, ticket=0, need=0)
            raise
        if elsewhere < 0:  # it has not waited
            return admission
        return replace(admission, waited=waited, elsewhere=elsewhere)

    def _try(self, need: Need | None, others: list[Share]) -> Admission | None:
        """Take what a test needs, if it may start; otherwise stand in the queue."""
        share, size = self._share, self._size
        run = [other for other in others if other.run == share.run]
        self._median = median_of_run([*run, self._own_median()])
        if need is None and self._median is None:
            others_have = taken([*others, share])
            expected = Need(size=max(SMALL, size - others_have), source=ALONE)
        else:
            expected = need or Need(size=self._median or 0, source=MEDIAN)
        now = int(self._now() * 1000)
        ticket = share.ticket or next_ticket(others)
        asking = replace(share, wanted=expected.size, ticket=ticket, beat=now)
        is_alone = not any(other.need for other in others)
        if may_start(asking, others, size, now) and (expected.source != ALONE or is_alone):
            self._put(need=expected.size, wanted=0, ticket=0)
            needs = sum(other.need for other in others) + expected.size
            levels = sum(other.level for other in others) + share.level
            return Admission(need=expected, needs=needs, levels=levels)
        self._put(wanted=expected.size, ticket=ticket, beat=now)
        return None

    def give_back(self) -> None:
        """Return what the test that has ended was admitted with."""
        if self._share.need:
            with self._file.locked():
                self._put(need=0, level=self._level())

    def note(self, size: int) -> None:
        """Note what a test has needed, or what is known of it.

        Args:
            size: bytes.
        """
        insort(self._known, size)
        many = len(self._known)
        if many >= 2 * self._noted:  # rarely: small tests write nothing
            self._noted = many
            with self._file.locked():
                own = self._own_median()
                self._put(known=own.known, median=own.median)
                run = [other for other in self._file.others() if other.run == own.run]
            self._median = median_of_run([*run, own])

    def note_level(self) -> None:
        """Write how much this process holds, if that has changed by as much as matters."""
        level = self._level()
        if abs(level - self._share.level) > SMALL:
            with self._file.locked():
                self._put(level=level)

    def close(self) -> None:
        """Give everything back."""
        self._file.close()

    def _own_median(self) -> Share:
        known = self._known
        middle = known[(len(known) - 1) // 2] if known else 0
        return replace(self._share, known=len(known), median=middle)

    def _put(self, **changes: int) -> None:
        self._share = replace(self._share, **changes)
        self._file.put(self._share)
