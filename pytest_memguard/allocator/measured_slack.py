"""Slack as the probe measures it, and the last upper bound that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Protocol

from pytest_memguard.allocator.filler import (
    FillableSlack,
)


class MeasuredSlack(FillableSlack, Protocol):
    """Slack as the probe measures it."""

    @property
    def arena_size(self) -> int:
        """Bytes of an arena."""

    @property
    def used(self) -> int:
        """Bytes in small blocks that are in use."""

    @property
    def hooked(self) -> bool:
        """Whether only the slack in the C heap could be measured."""

    @property
    def heap(self) -> int:
        """Bytes in use on the C heap."""

    @property
    def explained(self) -> int:
        """Bytes that CPython and glibc have from the system, in use or free."""

    @property
    def malloc(self) -> int:
        """Bytes of slack in the C heap."""

    @property
    def anywhere(self) -> int:
        """Bytes of those in which blocks of any size fit."""


@dataclass(slots=True)
class SlackBound:
    """The last upper bound of the slack, and what was measured with it."""

    slack: int = 0
    """Bytes in all."""
    small: float = inf
    """Bytes of them for small blocks."""
    level: int = 0
    """Resident bytes."""
    count: int = 0
    """Blocks in use."""
    used: int = 0
    """Bytes in them."""
    heap: int = 0
    """Bytes in use on the C heap."""
    asked: float = -1.0
    """When that was, by the processor time of the thread, which a forked child counts anew."""
    due: float = -1.0
    """When to measure again."""
    soon: float = -1.0
    """When to measure again if the bound would call for an expensive instrument."""
