"""How much memory is free: of the machine, or of the container's limit if that is less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

from pytest_memguard.values import dataclass

_UNLIMITED = 1 << 60
"""Version 1 of control groups has a number of this size where there is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeMemory:
    """Free memory."""

    size: int
    """Bytes that programs could use without swapping."""
    source: str
    """Whose memory it is."""


def free_memory(
    proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> FreeMemory:
    """Return how much memory is free, for this process and others in its control groups.

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    machine = FreeMemory(size=psutil.virtual_memory().available, source="the machine")
    found = [machine, *_of_groups(proc, groups)]
    return min(found, key=lambda one: one.size)


def _of_groups(proc: Path, groups: Path) -> Iterator[FreeMemory]:
    for line in _text(proc / "self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _within(groups, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = groups / "memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
            yield from _within(root, path, limit, usage, "total_inactive_file")


def _within(root: Path, path: str, limit: str, usage: str, cached: str) -> Iterator[FreeMemory]:
    """Yield what is free in a group and in each that it is a part of."""
    place = root / path.strip("/")
    places = [place, *(parent for parent in place.parents if parent.is_relative_to(root)), root]
    for folder in dict.fromkeys(places):
        most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
        if most.isdecimal() and used.isdecimal() and int(most) < _UNLIMITED:
            free = int(most) - int(used) + _cached(folder / "memory.stat", cached)
            yield FreeMemory(size=max(0, free), source="the control group")


def _cached(path: Path, name: str) -> int:
    """Return bytes of files in memory that the kernel gives up when it needs some."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
