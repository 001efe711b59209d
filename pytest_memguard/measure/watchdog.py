"""Stops a test by a thread that samples resident memory, where no limit of the kernel can."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable
from typing import Final

from pytest_memguard.errors import Unmeasurable

INTERVAL_SECONDS: Final = 0.005


class ResidentLimitError(MemoryError):
    """What the watchdog raises in the thread that it watches over."""


class Watchdog:
    """Raises a MemoryError in the test's thread when resident memory is above a level.

    The thread runs only while a test is held to a level. It raises once; the exception arrives
    when code in C that runs meanwhile has returned.

    Args:
        level: returns resident bytes.
        interval: seconds between samples.

    Attributes:
        has_raised: whether it has raised since it was set to a level.
    """

    by: Final = "watchdog"
    cause: Final = ResidentLimitError

    def __init__(self, level: Callable[[], int], interval: float = INTERVAL_SECONDS) -> None:
        self.has_raised = False
        self._read_level = level
        self._interval = interval
        self._most = 0
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._watched = 0

    def used(self) -> int:
        """Return resident bytes; 0 if they cannot be read."""
        with contextlib.suppress(Unmeasurable):
            return self._read_level()
        return 0

    def hold_to(self, level: int) -> bool:
        """Watch over the calling thread, or set another level in bytes while that lasts."""
        self._most = level
        if self._thread is None:
            self.has_raised = False
            self._watched = threading.get_ident()
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._watch,
                args=(self._stop,),
                name="memguard-watchdog",
                daemon=True,
            )
            self._thread.start()
        return True

    def release(self) -> bool:
        """Watch no more; what was raised and has not arrived yet does not arrive any more."""
        try:
            return self._release()
        except ResidentLimitError:  # it has arrived here; there is only one
            return self._release()

    def _release(self) -> bool:
        thread, stop = self._thread, self._stop
        if thread is None or stop is None:
            return True
        stop.set()
        with self._lock:
            if self.has_raised:
                _raise_in(self._watched, None)
        self._thread = self._stop = None
        if thread is not threading.current_thread():
            thread.join()
        return True

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            if self.used() <= self._most:
                continue
            with self._lock:
                if not stop.is_set():
                    self.has_raised = True
                    _raise_in(self._watched, ResidentLimitError)
            return


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have a thread raise an exception in Python code; ``None`` takes back what is due."""
    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
