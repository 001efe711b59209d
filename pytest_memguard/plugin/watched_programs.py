"""Puts what a test recorded of other programs into its result, and into JUnit files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_memguard.model.watch_readings import WatchReading

_PREFIX: Final = "memguard_watch"


class WatchedPrograms:
    """The recordings of the test that runs.

    Args:
        is_repeated: whether a test is being repeated, whose recordings say nothing new.
        activate: has results made of this test.

    Attributes:
        readings: those that have ended.
    """

    def __init__(self, is_repeated: Callable[[], bool], activate: Callable[[], None]) -> None:
        self._is_repeated = is_repeated
        self._activate = activate
        self.readings: list[WatchReading] = []

    def keep(self, reading: WatchReading) -> None:
        """Take a recording that has ended."""
        if not self._is_repeated():
            self.readings.append(reading)
            self._activate()

    def set_properties(self, properties: list[tuple[str, Any]]) -> None:
        """Have JUnit files contain what was recorded.

        Args:
            properties: pytest's list.
        """
        properties[:] = [named for named in properties if not named[0].startswith(_PREFIX)]
        for number, reading in enumerate(self.readings):
            properties += _properties(reading, f"_{number + 1}" if number else "")


def _properties(reading: WatchReading, suffix: str) -> Iterator[tuple[str, Any]]:
    name = f"{_PREFIX}{suffix}"
    yield f"{name}_command", reading.command
    yield f"{name}_verdict", reading.verdict
    rss = next(one for one in reading.signals if one.signal == "rss")
    if rss.peak is not None:
        yield f"{name}_peak_bytes", rss.peak
    for one in reading.signals:
        if one.signal == "rss" or one.verdict == "growing":
            unit = "bytes" if one.signal == "rss" else one.signal
            yield f"{name}_growth_{unit}_per_hour", round(one.per_hour)
