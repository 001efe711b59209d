"""Decides which level of alerts a process has reached."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.alerts import AlertLevel


def levels_left(levels: Sequence[AlertLevel], highest: int) -> tuple[AlertLevel, ...]:
    """Return the levels that a process has not reached.

    Args:
        levels: the lowest first.
        highest: its highest resident bytes.
    """
    return tuple(level for level in levels if level.size > highest)


def level_reached(levels: Sequence[AlertLevel], highest: int) -> AlertLevel | None:
    """Return the highest level that a process has reached; ``None`` if it has reached none.

    Args:
        levels: those that it had not reached before, the lowest first.
        highest: its highest resident bytes.
    """
    reached = [level for level in levels if level.size <= highest]
    return reached[-1] if reached else None
