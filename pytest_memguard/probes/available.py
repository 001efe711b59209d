"""Reads the memory that this process could still take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from pytest_memguard.sizes import KIB

_AVAILABLE: Final = "\nMemAvailable:"


def available_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that are available in the system, or in its control group.

    The smaller number counts. Both versions of control groups are read at the root of the
    mount, where a container sees its own. 0 if the system does not report them.

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    bounds = []
    available = f"\n{_text(proc / 'meminfo')}".partition(_AVAILABLE)[2].split(None, 2)[:2]
    if len(available) == 2 and available[0].isdecimal() and available[1] == "kB":
        bounds.append(int(available[0]) * KIB)
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
