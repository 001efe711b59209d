"""Memory this process could still take before the machine or its container runs out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pytest_memguard.sizes import KIB

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)


def available_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes the system says are available, or what a control group still allows.

    Both versions of control groups are looked at where a container sees its own, at the
    root of the mount; 0 where the system does not tell.

    Args:
        proc: where the kernel's process files are.
        groups: where control groups are mounted.
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
