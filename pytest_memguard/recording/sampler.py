"""A thread that looks at resident memory every so often, where the kernel keeps no mark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pytest_memguard.model import Method, MetricName

INTERVAL_SECONDS: Final = 0.002


class SampledResident:
    """The highest of many looks; a meter whose peak is a lower bound.

    The thread lives only between `start` and `stop`: Python 3.12 warns about forks in a
    process with more than one.

    Args:
        level: returns resident bytes.
        interval: seconds between looks.
    """

    metric: MetricName = "rss"
    method: Method = "sampled"
    lost = ""
    running = True

    def __init__(self, level: Callable[[], int], interval: float = INTERVAL_SECONDS) -> None:
        self.level = level
        self._interval = interval
        self._high = 0
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @staticmethod
    def interval_ms() -> int:
        """The time between two looks, in milliseconds."""
        return round(INTERVAL_SECONDS * 1000)

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._look,
                args=(self._stop,),
                name="memguard-sampler",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None and self._stop is not None:
            self._stop.set()
            self._thread.join()
        self._thread = self._stop = None

    def restart(self) -> int:
        """Forget the highest look, and return the level in bytes."""
        with self._lock:
            self._high = level = self.level()
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest look since `restart`, in bytes."""
        level = self.level()
        with self._lock:
            self._high = max(self._high, level)
            return level, self._high

    def _look(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            level = self.level()
            with self._lock:
                self._high = max(self._high, level)
