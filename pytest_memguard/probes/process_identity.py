"""Checks whether a process is the one that a file names, although numbers are used again."""

from __future__ import annotations

import sys
from pathlib import Path


def identity_of(pid: int) -> str:
    """Return what no other process has, on this machine or another; empty if there is none.

    Args:
        pid: number of the process.
    """
    if sys.platform != "linux":
        return _from_psutil(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except (OSError, ValueError):
        return ""
    # the name of the programme, in brackets, may contain anything
    fields = text.rpartition(")")[2].split()
    is_dead = fields[0] in {"Z", "X"}
    return "" if is_dead else f"{boot} {namespace} {pid} {fields[19]}"


def _from_psutil(pid: int) -> str:
    import psutil

    try:
        return f"{pid} {psutil.Process(pid).create_time():.2f}"
    except (psutil.Error, OSError):
        return ""
