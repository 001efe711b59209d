"""Finds how much memory this process and its neighbours may use, and what is left of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pytest_memguard.sizes import KIB, format_size
from pytest_memguard.values import dataclass

_NO_LIMIT: Final = 2**62
"""Bytes from which on version 1 of control groups means that there is no limit."""
_PROC: Final = Path("/proc")
_GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLimit:
    """The memory of the machine, or the limit of a control group."""

    size: int
    """Bytes that all processes under it may use together."""
    available: int
    """Bytes of them that could still be taken; what the kernel can drop at once is included."""
    source: str
    """Its owner: "cgroup v2", "cgroup v1", or "the machine"."""
    place: str
    """File that names it; empty if it has none."""

    def __str__(self) -> str:
        return f"{format_size(self.size)} ({self.source})"


def memory_limit(proc: Path = _PROC, groups: Path = _GROUPS) -> MemoryLimit | None:
    """Return the smallest limit that holds for this process; ``None`` if none is known.

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    return min(memory_limits(proc, groups), key=lambda limit: limit.size, default=None)


def tightest_limit(proc: Path = _PROC, groups: Path = _GROUPS) -> MemoryLimit | None:
    """Return the limit under which least memory is left; ``None`` if none is known.

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    return min(memory_limits(proc, groups), key=lambda limit: limit.available, default=None)


def memory_limits(proc: Path = _PROC, groups: Path = _GROUPS) -> Sequence[MemoryLimit]:
    """Return every limit that holds for this process: the control groups' and the machine's.

    A process must stay within the limits of its own group and of all groups around that.

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    found = list(_of_groups(_text(proc / "self/cgroup"), groups))
    machine = _of_machine(proc)
    return [*found, machine] if machine is not None else found


def _of_machine(proc: Path) -> MemoryLimit | None:
    meminfo = _text(proc / "meminfo")
    size = _number(r"^MemTotal:\s+(\d+) kB", meminfo)
    if size is not None:
        available = _number(r"^MemAvailable:\s+(\d+) kB", meminfo)
        return MemoryLimit(
            size=size * KIB,
            available=(size if available is None else available) * KIB,
            source="the machine",
            place=str(proc / "meminfo"),
        )
    if sys.platform != "linux":
        import psutil

        memory = psutil.virtual_memory()
        size, available = int(memory.total), int(memory.available)
        return MemoryLimit(size=size, available=available, source="the machine", place="")
    return None


def _of_groups(membership: str, groups: Path) -> Iterator[MemoryLimit]:
    """Yield the limits of the control groups of this process.

    Args:
        membership: the text of ``/proc/self/cgroup``.
        groups: folder where control groups are mounted.
    """
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for root in (groups, groups / "unified"):
                for folder in _upwards(root, path):
                    # above memory.high the kernel slows a process down until it hardly moves
                    for name in ("memory.max", "memory.high"):
                        yield from _limit(folder, name, "memory.current", "cgroup v2")
        elif "memory" in controllers.split(","):
            for folder in _upwards(groups / "memory", path):
                name = "memory.limit_in_bytes"
                yield from _limit(folder, name, "memory.usage_in_bytes", "cgroup v1")


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group, and those of all groups around it.

    A container may show the path as the host sees it; its own group is then the root, which
    is always the last one.

    Args:
        root: where this kind of groups is mounted.
        path: the group as ``/proc/self/cgroup`` names it.
    """
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    for length in range(len(parts), -1, -1):
        folder = root.joinpath(*parts[:length])
        if folder.is_dir():
            yield folder


def _limit(folder: Path, name: str, usage: str, source: str) -> Iterator[MemoryLimit]:
    """Yield the limit of one group, if it has one.

    Args:
        folder: that of the group.
        name: file of the limit.
        usage: file of the bytes in use.
        source: what to call the group.
    """
    text = _text(folder / name).strip()
    size = int(text) if text.isdecimal() else _NO_LIMIT
    if size >= _NO_LIMIT:
        return
    used = _number(r"^(\d+)$", _text(folder / usage)) or 0
    stat = _text(folder / "memory.stat")
    # the kernel drops these pages of files before it kills a process
    droppable = _number(r"^total_inactive_file (\d+)$", stat)
    if droppable is None:
        droppable = _number(r"^inactive_file (\d+)$", stat) or 0
    available = min(size, max(0, size - max(0, used - droppable)))
    place = str(folder / name)
    yield MemoryLimit(size=size, available=available, source=source, place=place)


def _number(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text, re.MULTILINE)
    return None if match is None else int(match[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
