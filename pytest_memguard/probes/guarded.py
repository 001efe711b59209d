"""Wraps a probe of another plugin: its errors end the measurement, not the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_memguard.probes import Meter

Answer = TypeVar("Answer")


class GuardedProbe:
    """Calls a probe; if it raises, `lost` says so from then on.

    Args:
        probe: the probe of another plugin.
    """

    def __init__(self, probe: Meter) -> None:
        self.metric = probe.metric
        self.method = probe.method
        self.hooks_allocators = probe.hooks_allocators
        self._probe = probe
        self._problem = ""
        self._is_started = False
        self._latest = 0

    @property
    def lost(self) -> str:
        """Why its numbers are not valid; empty if they are."""
        return self._problem or str(self._probe.lost)

    @property
    def running(self) -> bool:
        """Whether it measures between `start` and `stop`."""
        return self._is_started

    def start(self) -> None:
        """Prepare; nothing is measured before `restart`."""
        self._is_started = True
        self._ask(self._probe.start, None)

    def restart(self) -> int:
        """Measure the peak from here on, and return the level."""
        self._latest = self._ask(lambda: int(self._probe.restart()), self._latest)
        return self._latest

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`."""

        def read() -> tuple[int, int]:
            level, high = self._probe.read()
            return int(level), int(high)

        level, high = self._ask(read, (self._latest, self._latest))
        self._latest = level
        return level, high

    def missed(self, start: int, high: int) -> int | None:
        """Return by how much the level may have exceeded ``high``; ``None``: any amount."""
        return self._ask(lambda: self._probe.missed(start, high), None)

    def level(self) -> int:
        """Return the level."""
        self._latest = self._ask(lambda: int(self._probe.level()), self._latest)
        return self._latest

    def stop(self) -> None:
        """Release what `start` took."""
        self._ask(self._probe.stop, None)
        self._is_started = False

    def _ask(self, question: Callable[[], Answer], instead: Answer) -> Answer:
        if not self._is_started:  # a test that does not ask for its metric
            return instead
        try:
            return question()
        except Exception as error:  # noqa: BLE001  another's code may raise anything
            self._problem = f"its probe raised {type(error).__name__}: {error}"
            return instead
