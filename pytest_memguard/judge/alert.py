"""Decides which level of alerts a process, or a run, has reached."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.model.alerts import AlertLevel


def levels_left(levels: Sequence[AlertLevel], highest: int) -> tuple[AlertLevel, ...]:
    """Return the levels of one signal that were not reached.

    Args:
        levels: the lowest first.
        highest: the highest reading.
    """
    return tuple(level for level in levels if level.size > highest)


def level_reached(levels: Sequence[AlertLevel], highest: int) -> AlertLevel | None:
    """Return the highest level of one signal that was reached; ``None`` if none was.

    Args:
        levels: those that were not reached before, the lowest first.
        highest: the highest reading.
    """
    reached = [level for level in levels if level.size <= highest]
    return reached[-1] if reached else None
