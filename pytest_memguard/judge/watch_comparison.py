"""Compares the growth of a program before and after a fix."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_memguard.watches import JUDGED_SIGNALS, GrowthChange, SignalGrowth, WatchGrowth


def growth_changes(before: WatchGrowth, after: WatchGrowth) -> list[GrowthChange]:
    """Return a change for each signal that grew then, or grows now."""
    return list(_changes(before, after))


def _changes(before: WatchGrowth, after: WatchGrowth) -> Iterator[GrowthChange]:
    for signal in JUDGED_SIGNALS:
        unread = SignalGrowth(signal=signal, state="unclear", doubt="unread")
        change = GrowthChange(
            before=before.of(signal) or unread, after=after.of(signal) or unread
        )
        if "growing" in {change.before.state, change.after.state}:
            yield change
