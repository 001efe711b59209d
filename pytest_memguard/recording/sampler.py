"""A thread that looks at resident memory every so often, where the kernel keeps no mark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.metrics import RSS
from pytest_memguard.model import Method
from pytest_memguard.probes.lifetime_peak import DRIFT

INTERVAL_SECONDS: Final = 0.002


class SampledResident:
    """The highest of many looks; a meter whose peak is a lower bound.

    The lifetime high-water mark bounds what the looks have missed: the peak cannot lie above
    it, and where it has risen since `restart` the process was there. If it falls, something
    else has put it back, and it is not used any more.

    The thread lives only between `start` and `stop`: Python 3.12 warns about forks in a
    process with more than one.

    Args:
        level: returns resident bytes.
        lifetime: returns the lifetime high-water mark in bytes; ``None`` where there is none.
        interval: seconds between looks.
    """

    metric = RSS
    hooks_allocators = False
    running = True
    method: Method = "sampled"

    def __init__(
        self,
        level: Callable[[], int],
        lifetime: Callable[[], int] | None = None,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self.lost = ""
        self._read_level = level
        self._lifetime = lifetime
        self._interval = interval
        self._latest = self._high = self._mark = 0
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

    def level(self) -> int:
        """Return the level in bytes; the one before and `lost` says why, if nothing tells."""
        try:
            self._latest = self._read_level()
        except Unmeasurable as error:
            self.lost = str(error)
        return self._latest

    def restart(self) -> int:
        """Forget the highest look, and return the level in bytes."""
        with self._lock:
            self._mark = self._lifetime_mark()
            self._high = level = self.level()
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest since `restart` that is known of, in bytes."""
        level = self.level()
        with self._lock:
            self._high = max(self._high, level)
            mark = self._lifetime_mark()
            if mark < self._mark:
                self._lifetime = None
            elif mark > self._mark:
                self._high = max(self._high, mark - DRIFT)
            return level, self._high

    def missed(self, start: int, high: int) -> int | None:  # noqa: ARG002  a Meter's
        """Bytes by which the level may have been above ``high`` between two looks."""
        if self._lifetime is None:
            return None
        return max(0, self._lifetime() + DRIFT - high)

    def _lifetime_mark(self) -> int:
        return self._lifetime() if self._lifetime is not None else 0

    def _look(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            level = self.level()
            with self._lock:
                self._high = max(self._high, level)
