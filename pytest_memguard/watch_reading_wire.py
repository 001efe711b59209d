"""Converts what a test recorded of another program to plain JSON and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pytest_memguard.formats import Json
from pytest_memguard.watch_readings import WatchedSignal, WatchedStage, WatchReading


def watched_to_json(readings: Sequence[WatchReading]) -> Json:
    """Return a test's recordings as a key of its plain JSON; nothing if there are none."""
    return {"watched": [_reading(one) for one in readings]} if readings else {}


def _reading(reading: WatchReading) -> Json:
    return {
        **_plain(reading),
        "signals": [_plain(one) for one in reading.signals],
        "stages": [_plain(one) for one in reading.stages],
    }


def watched_from_json(data: Sequence[Json]) -> tuple[WatchReading, ...]:
    """Return a test's recordings from their plain form."""
    return tuple(
        WatchReading(
            **{
                **one,
                "signals": tuple(WatchedSignal(**signal) for signal in one["signals"]),
                "stages": tuple(WatchedStage(**stage) for stage in one["stages"]),
            }
        )
        for one in data
    )


def _plain(value: Any) -> Json:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
