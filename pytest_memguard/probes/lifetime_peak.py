"""Reads the lifetime peak: the highest resident memory of this process so far."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes import marks_in_use
from pytest_memguard.probes.available import available_memory
from pytest_memguard.probes.mark_resets import ResetWatch
from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.sizes import KIB, MIB

DRIFT: Final = max(MIB, 64 * KIB * (os.cpu_count() or 1))
"""Bytes by which mark and level may differ although neither has moved: the kernel counts pages
on each processor, and the mark does not include those that were not added up yet."""
_STEP: Final = MIB
_MOST: Final = 64 * MIB
_SHARE_OF_AVAILABLE: Final = 4


class LifetimePeak:
    """The lifetime peak; it notices if other code resets the high-water mark.

    Attributes:
        undisturbed: whether no other mark is in use.

    Raises:
        Unmeasurable: if there is no mark, if it cannot be trusted, if it is too far above the
            level to be tested, or if the kernel does not report resets.
    """

    def __init__(self) -> None:
        level = resident_reader()
        self._read = lifetime_peak_reader(level)
        self._carried = 0
        if self._read() - level() > _MOST:
            msg = "the process's high-water mark is too far above its level to be tested"
            raise Unmeasurable(msg)
        try:
            self._resets = ResetWatch()
        except (OSError, AttributeError) as error:
            msg = f"resets of the process's high-water mark go unnoticed ({error})"
            raise Unmeasurable(msg) from error
        self.was_reset = self._resets.poll
        self.undisturbed = True
        marks_in_use.add(self)

    def read(self) -> int:
        """Return bytes that resident memory has not exceeded, unless the mark `was_reset`."""
        mark = self._read()
        return mark if mark > self._carried else self._carried  # noqa: FURB136  a call costs more

    def carry(self) -> None:
        """Remember the mark, before another mark of ours resets it."""
        self._carried = self.read()

    def close(self) -> None:
        """Stop watching."""
        marks_in_use.discard(self)
        self._resets.close()


def lifetime_peak_reader(level: Callable[[], int] | None) -> Callable[[], int]:
    """Return a function that returns the lifetime peak of this process, in bytes.

    This mark is never reset. It survives exec, so a process that was started by a larger one
    begins with the mark of that one: it is always an upper bound, and the process's own peak
    once it has risen. Before it is trusted, it must rise with memory that is touched, unless it
    is too far above the level for that test.

    Args:
        level: returns resident bytes; ``None`` if nothing does.

    Raises:
        Unmeasurable: if there is no such mark, or it does not follow memory.
    """
    read = _reader()
    before = read()
    if before <= 0:
        msg = "the system keeps no high-water mark of this process"
        raise Unmeasurable(msg)
    if level is not None:
        above = before - level()
        if above < -DRIFT:
            msg = "the process's high-water mark is below its level"
            raise Unmeasurable(msg)
        if above > _affordable():
            return read
    if not _follows(read, before):
        msg = "the process's high-water mark did not follow a block that was touched"
        raise Unmeasurable(msg)
    return read


def _reader() -> Callable[[], int]:
    try:
        import resource
    except ImportError:  # Windows
        return _from_psutil()
    usage, who = resource.getrusage, resource.RUSAGE_SELF
    unit = 1 if sys.platform == "darwin" else KIB
    return lambda: usage(who).ru_maxrss * unit


def _from_psutil() -> Callable[[], int]:
    import psutil

    process = psutil.Process()
    return lambda: int(getattr(process.memory_info(), "peak_wset", 0))


def _affordable() -> int:
    """Return the bytes that may be touched to test the mark."""
    available = available_memory()
    return min(_MOST, available // _SHARE_OF_AVAILABLE) if available else _MOST


def _follows(read: Callable[[], int], before: int) -> bool:
    """Return whether the mark rises when memory is touched, as far as that is affordable."""
    size = _affordable() + 2 * _STEP
    with mmap.mmap(-1, size) as block:
        for page in range(0, size, mmap.PAGESIZE):
            block[page] = 1
            if page % _STEP == 0 and read() - before >= _STEP:
                return True
        return read() - before >= _STEP
