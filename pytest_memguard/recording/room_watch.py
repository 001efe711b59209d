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
        self._due = self._soon = -1.0

    def bound(self, level: int, tolerance: int, expensive: float, *, fill: bool = True) -> int:
        """An upper bound of the room.

        Args:
            level: resident bytes now.
            tolerance: bytes of room that do not matter.
            expensive: bytes from which the answer costs more than asking again.
            fill: lay ballast where the room matters.
        """
        start = self._now()
        count = self._blocks()
        if start < self._due:
            moved = max(0, level - self._level)
            moved += max(0, self._count - count) * _LARGEST_SMALL_BLOCK
            bound = self._room + moved
            worth_asking = bound > expensive and start >= self._soon
            if moved <= tolerance and not worth_asking:
                return bound
        start = self._now()
        room = self._probe()
        end = self._now()
        self._highest = max(self._highest, level)
        if fill and room.total > tolerance and self._lay(room):
            room, count = self._probe(), self._blocks()
        self._room, self._level, self._count = room.total, level, count
        self.anywhere = room.anywhere
        self._due = self._now() + (end - start) * _SHARE_OF_TIME
        self._soon = self._now() + (end - start) * _SHARE_OF_TIME_IF_EXPENSIVE
        return self._room

    def _lay(self, room: Room) -> bool:
        return self.ballast.lay(room, self._highest, available_memory())
