"""Compares the growth of a program before and after a fix."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_memguard.watch_levels import JUDGED_SIGNALS
from pytest_memguard.watches import GrowthChange, SignalGrowth, WatchGrowth


def growth_changes(before: WatchGrowth, after: WatchGrowth) -> list[GrowthChange]:
    """Return a change for each signal that grew then, or grows now."""
    return list(_changes(before, after))


def _changes(before: WatchGrowth, after: WatchGrowth) -> Iterator[GrowthChange]:
    for signal in JUDGED_SIGNALS:
        unread = SignalGrowth(signal=signal, state="undecided", doubt="unread")
        change = GrowthChange(
            before=before.of(signal) or unread, after=after.of(signal) or unread
        )
        if signal == "rss" and change.after.state == "undecided" and _is_known(after):
            continue
        if "growing" in {change.before.state, change.after.state}:
            yield change


def _is_known(growth: WatchGrowth) -> bool:
    """Return whether a Node.js program has a verdict, which rests on what it keeps."""
    return growth.of("heap_used") is not None and growth.state in {"flat", "plateau"}
