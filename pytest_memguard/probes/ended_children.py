"""What the kernel reports of children that have ended and were waited for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.lifetime_peak import lifetime_peak_reader
from pytest_memguard.probes.own_children import ENDED
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    import resource

RUSAGE_CHILDREN: Final = -1
"""The constant of the module resource, which Windows does not have."""
_HUGE_PAGES: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_PAGE: Final = 4 * KIB
_UNIT: Final = 1 if sys.platform == "darwin" else KIB
_usage: Callable[[int], resource.struct_rusage] | None
try:  # looked up once: this is asked around every test
    from resource import getrusage as _usage
except ImportError:  # on Windows
    _usage = None


class EndedChildren(NamedTuple):
    """All children so far that have ended and were waited for, and theirs."""

    peak: int
    """The highest lifetime peak of any of them, in bytes; 0 if it is not known.

    A child begins with the peak of the process that has started it, so that below the own peak
    of this process it is not known."""
    faults: int
    """Their page faults that read nothing from a disk; every process has some."""
    major: int
    """Their other page faults."""
    counted: int = 0
    """Page faults as the kernel adds them up, those of processes of ours included."""


def ended_children() -> EndedChildren:
    """Return what the kernel has added up so far (getrusage(2), RUSAGE_CHILDREN)."""
    if _usage is None:
        return EndedChildren(0, 0, 0)
    usage = _usage(RUSAGE_CHILDREN)
    return EndedChildren(
        peak=usage.ru_maxrss * _UNIT,
        faults=usage.ru_minflt - ENDED.minor,
        major=usage.ru_majflt - ENDED.major,
        counted=usage.ru_minflt,
    )


def counted_faults() -> int:
    """Return `EndedChildren.counted` alone: as long as it stays the same, none has ended."""
    return 0 if _usage is None else _usage(RUSAGE_CHILDREN).ru_minflt


def touched_since(before: EndedChildren, now: EndedChildren) -> int:
    """Return the most bytes that children which have ended in between can have touched.

    One that the system gives huge pages may have touched as much as the largest of all.
    """
    touched = most_touched(now.faults + now.major - before.faults - before.major)
    return now.peak if touched is None else touched


def own_memory() -> tuple[int, int]:
    """Return the high-water mark of this process, and its level, in bytes.

    On Linux the mark is the highest since it was reset; elsewhere, since the process started.
    """
    try:
        text = Path("/proc/self/status").read_bytes()
    except OSError:
        return _of_lifetime()
    return _kib(text, b"\nVmHWM:"), _kib(text, b"\nVmRSS:")


def _of_lifetime() -> tuple[int, int]:
    import psutil

    level = int(psutil.Process().memory_info().rss)
    try:
        return max(level, lifetime_peak_reader(None)()), level
    except Unmeasurable:
        return level, level


def most_touched(faults: int) -> int | None:
    """Return how many bytes can have become resident by page faults; ``None`` if unknown.

    Each maps a page, unless the system makes huge pages of 2 MiB by default.
    """
    if not faults:
        return 0
    try:
        huge = b"[always]" in _HUGE_PAGES.read_bytes()
    except OSError:
        huge = False
    return None if huge or sys.platform != "linux" else faults * _PAGE


def _kib(text: bytes, name: bytes) -> int:
    at = text.find(name)
    return 0 if at < 0 else int(text[at + len(name) :].split(None, 1)[0]) * KIB
