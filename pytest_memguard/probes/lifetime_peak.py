"""The highest resident memory of this process so far, which getrusage tells without /proc."""

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
"""Bytes by which mark and level may differ though neither has moved: the kernel counts pages
on each processor, and the mark does not have those that have not been added up yet."""
_STEP: Final = MIB
_MOST: Final = 64 * MIB
_SHARE_OF_AVAILABLE: Final = 4


class LifetimePeak:
    """The lifetime high-water mark, noticed when it is reset all the same.

    Attributes:
        undisturbed: whether no other mark is in use.

    Raises:
        Unmeasurable: if there is none, it cannot be trusted, it stands too far above the level
            for that to be known, or the kernel does not tell when it is reset.
    """

    def __init__(self) -> None:
        level = resident_reader()
        self._read = lifetime_peak_reader(level)
        self._carried = 0
        if self._read() - level() > _MOST:
            msg = "the process's high-water mark stands too far above its level to be tried"
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
        """Bytes that resident memory has not exceeded, unless `was_reset` says otherwise."""
        mark = self._read()
        return mark if mark > self._carried else self._carried  # noqa: FURB136  a call costs more

    def carry(self) -> None:
        """Note the mark, before another one of ours resets it."""
        self._carried = self.read()

    def close(self) -> None:
        """Be in use no more."""
        marks_in_use.discard(self)
        self._resets.close()


def lifetime_peak_reader(level: Callable[[], int] | None) -> Callable[[], int]:
    """A function that returns the lifetime high-water mark of this process, in bytes.

    The mark is never put back. A process that was started by a larger one begins with the
    mark of that one (it survives exec), so the mark is an upper bound at any time, and the
    process's own peak where it has risen. Before it is trusted it must rise with memory that
    is touched, unless it stands too far above the level for that to be tried.

    Args:
        level: reads the resident bytes; ``None`` where nothing does.

    Raises:
        Unmeasurable: if there is no such mark, or it does not follow what memory does.
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
    """Bytes that may be touched to see the mark rise."""
    available = available_memory()
    return min(_MOST, available // _SHARE_OF_AVAILABLE) if available else _MOST


def _follows(read: Callable[[], int], before: int) -> bool:
    """Whether the mark rises as a block is touched, as far as that is affordable."""
    size = _affordable() + 2 * _STEP
    with mmap.mmap(-1, size) as block:
        for page in range(0, size, mmap.PAGESIZE):
            block[page] = 1
            if page % _STEP == 0 and read() - before >= _STEP:
                return True
        return read() - before >= _STEP
