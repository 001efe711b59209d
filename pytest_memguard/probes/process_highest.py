"""Notices when the highest resident memory of this process has reached a level."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.sizes import KIB

_STATUS: Final = Path("/proc/self/status")


class ProcessHighest:
    """Reads the highest resident memory, in two steps.

    What `getrusage` returns is read in half a microsecond, but a process that was started by a
    larger one begins with the peak of that one. So where it has reached the level, the mark of
    this process decides.

    Args:
        bound: returns bytes that resident memory has not exceeded; ``None``: the system's.
        status: the kernel's file about this process.

    Raises:
        Unmeasurable: if nothing reports resident memory.
    """

    def __init__(self, bound: Callable[[], int] | None = None, status: Path = _STATUS) -> None:
        self._level = resident_reader()
        self._bound = bound or _bound_reader()
        self._status = status

    def reached(self, level: int) -> int:
        """Return the highest resident bytes so far; 0 if they are below a level in bytes."""
        highest = self._bound()
        if highest < level:
            return 0
        if sys.platform == "linux":
            highest = self._mark()
        return highest if highest >= level else 0

    def _mark(self) -> int:
        """Return the mark; resident bytes where the kernel keeps none."""
        try:
            text = self._status.read_bytes()
        except OSError:
            text = b""
        at = text.find(b"\nVmHWM:")
        if at >= 0:
            return int(text[at + 7 :].split(None, 1)[0]) * KIB
        try:
            return self._level()
        except Unmeasurable:
            return 0


def _bound_reader() -> Callable[[], int]:
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        process = psutil.Process()
        return lambda: int(getattr(process.memory_info(), "peak_wset", 0))
    usage, who = resource.getrusage, resource.RUSAGE_SELF
    unit = 1 if sys.platform == "darwin" else KIB
    return lambda: usage(who).ru_maxrss * unit
