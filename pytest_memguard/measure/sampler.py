"""Samples resident memory in a thread, if the kernel has no mark that can be reset."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.measurements import Method
from pytest_memguard.model.metrics import RSS
from pytest_memguard.probes.lifetime_peak import DRIFT

INTERVAL_SECONDS: Final = 0.002


class SampledResident:
    """A meter whose peak is the highest of many samples, and so a lower bound.

    The lifetime peak bounds what the samples have missed: the true peak cannot be above it, and
    if it has risen since `restart`, the process has reached it. If it falls, other code has
    reset it, and it is not used any more.

    The thread runs only between `start` and `stop`: Python 3.12 warns about forks in a process
    with several threads.

    Args:
        level: returns resident bytes.
        lifetime: returns the lifetime peak in bytes; ``None`` if there is none.
        interval: seconds between samples.
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
        """Return the time between two samples, in milliseconds."""
        return round(INTERVAL_SECONDS * 1000)

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._sample,
                args=(self._stop,),
                name="memguard-sampler",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        if self._thread is not None and self._stop is not None:
            self._stop.set()
            self._thread.join()
        self._thread = self._stop = None

    def level(self) -> int:
        """Return the level in bytes; the last one if it cannot be read, as `lost` says."""
        try:
            self._latest = self._read_level()
        except Unmeasurable as error:
            self.lost = str(error)
        return self._latest

    def restart(self) -> int:
        """Forget the highest sample, and return the level in bytes."""
        with self._lock:
            self._mark = self._lifetime_mark()
            self._high = level = self.level()
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest known one since `restart`, in bytes."""
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
        """Return the bytes by which the level may have exceeded ``high`` between samples."""
        if self._lifetime is None:
            return None
        return max(0, self._lifetime() + DRIFT - high)

    def _lifetime_mark(self) -> int:
        return self._lifetime() if self._lifetime is not None else 0

    def _sample(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            level = self.level()
            with self._lock:
                self._high = max(self._high, level)
