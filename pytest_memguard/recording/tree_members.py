"""Keeps which processes of a tree grew, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import psutil

from pytest_memguard.probes.watched_memory import ProcessUse
from pytest_memguard.watches import WatchedProcess

_MOST: Final = 200
"""Processes that are kept; beyond it those that grew least are forgotten."""


class Member:
    """One process of a tree.

    Args:
        pid: its number.
        resident: its resident bytes when it was first seen.
    """

    __slots__ = ("first", "highest", "last", "name", "pid")

    def __init__(self, pid: int, resident: int) -> None:
        self.pid = pid
        self.name = _name_of(pid)
        self.first = self.last = self.highest = resident

    @property
    def grown(self) -> int:
        """Bytes by which it has grown."""
        return self.last - self.first


class TreeMembers:
    """The processes of a tree, those that have ended included."""

    def __init__(self) -> None:
        self._members: dict[int, Member] = {}

    def note(self, uses: Iterable[ProcessUse]) -> None:
        """Take what each process uses now into account."""
        for use in uses:
            member = self._members.get(use.pid)
            if member is None:
                member = self._members[use.pid] = Member(use.pid, use.resident)
            member.last = use.resident
            member.highest = max(member.highest, use.resident)
        if len(self._members) > _MOST:
            kept = sorted(self._members.values(), key=lambda m: m.grown, reverse=True)
            self._members = {member.pid: member for member in kept[: _MOST // 2]}

    def grown_most(self, most: int = 20) -> tuple[WatchedProcess, ...]:
        """Return the processes that grew most, in that order."""
        kept = sorted(self._members.values(), key=lambda m: m.grown, reverse=True)
        return tuple(
            WatchedProcess(
                pid=m.pid, name=m.name, first=m.first, last=m.last, highest=m.highest
            )
            for m in kept[:most]
        )


def _name_of(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "?"
