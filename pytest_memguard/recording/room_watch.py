"""Keeps an upper bound of the room free inside the process, and seldom asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, Protocol

from pytest_memguard.clock import Clock
from pytest_memguard.probes.available import available_memory
from pytest_memguard.recording.ballast import Ballast
from pytest_memguard.recording.ballast import Room as BallastRoom

_LARGEST_SMALL_BLOCK: Final = 512
_SHARE_OF_TIME: Final = 200
_SHARE_OF_TIME_IF_EXPENSIVE: Final = 20
_SHARE_OF_TIME_TO_COUNT: Final = 100


class Room(BallastRoom, Protocol):
    """What is free inside the process."""

    @property
    def total(self) -> int:
        """Bytes in all."""

    @property
    def anywhere(self) -> int:
        """Bytes of them where blocks of any size fit."""


class RoomWatch:
    """An upper bound of the free room, at a bounded cost.

    Room appears when objects go, so the last answer holds as long as resident memory has
    not risen and the number of small blocks has not fallen; what either moved by is added.
    The probe is asked again when that is more than a tolerance, when two hundred times
    its cost has passed, and, where the answer would call for an expensive instrument, when
    twenty times its cost has.

    Counting visits every pool, so it takes longer the larger the heap is. It is done again
    when a hundred times its cost has passed: about the time in which a process frees a heap
    of that size, so that no room that matters can have appeared since; or when
    `count_again` has been called, because something that lived long has gone.

    Room that matters is filled with ballast first, as far as that is allowed.

    Args:
        probe: measures the room; 0.03 to 2 milliseconds.
        blocks: counts the small blocks in use.
    """

    def __init__(
        self, probe: Callable[[], Room], blocks: Callable[[], int] = sys.getallocatedblocks
    ) -> None:
        self.ballast = Ballast()
        self.anywhere = 0
        self._probe = probe
        self._blocks = blocks
        self._now = Clock.seconds
        self._room = self._level = self._count = self._highest = 0
        self._due = self._soon = self._count_due = -1.0
        self._fallen = 0

    def count_again(self) -> None:
        """Count the blocks the next time, however short ago that was done."""
        self._count_due = -1.0

    def bound(self, level: int, tolerance: int, expensive: float, *, fill: bool = True) -> int:
        """An upper bound of the room.

        Args:
            level: resident bytes now.
            tolerance: bytes of room that do not matter.
            expensive: bytes from which the answer costs more than asking again.
            fill: lay ballast where the room matters.
        """
        start = self._now()
        if start < self._due:
            if start >= self._count_due:
                self._count_blocks(start)
            bound = self._room + self._fallen + max(0, level - self._level)
            worth_asking = bound > expensive and start >= self._soon
            if bound - self._room <= tolerance and not worth_asking:
                return bound
        start = self._now()
        room = self._probe()
        end = self._now()
        self._highest = max(self._highest, level)
        if fill and room.total > tolerance and self._lay(room):
            room = self._probe()
        self._room, self._level, self._fallen = room.total, level, 0
        self._count = self._blocks()
        self.anywhere = room.anywhere
        self._due = self._now() + (end - start) * _SHARE_OF_TIME
        self._soon = self._now() + (end - start) * _SHARE_OF_TIME_IF_EXPENSIVE
        return self._room

    def _count_blocks(self, start: float) -> None:
        self._fallen = max(0, self._count - self._blocks()) * _LARGEST_SMALL_BLOCK
        end = self._now()
        self._count_due = end + (end - start) * _SHARE_OF_TIME_TO_COUNT

    def _lay(self, room: Room) -> bool:
        return self.ballast.lay(room, self._highest, available_memory())
