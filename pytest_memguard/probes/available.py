"""Reads the memory that this process could still take."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pytest_memguard.sizes import KIB

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)


def available_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that are available in the system, or in its control group.

    The smaller number counts. Both versions of control groups are read at the root of the
    mount, where a container sees its own. 0 if the system does not report them.

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    bounds = []
    match = _AVAILABLE.search(_text(proc / "meminfo"))
    if match is not None:
        bounds.append(int(match[1]) * KIB)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        most, now = _text(groups / limit).strip(), _text(groups / used).strip()
        if most.isdecimal() and now.isdecimal():
            bounds.append(max(0, int(most) - int(now)))
    if not bounds and sys.platform != "linux":
        import psutil

        bounds.append(int(psutil.virtual_memory().available))
    return min(bounds, default=0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
