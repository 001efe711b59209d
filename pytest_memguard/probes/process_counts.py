"""Counts what a process has open: descriptors, threads and connections, and its CPU time."""

from __future__ import annotations

import os
import sys
from typing import Final, NamedTuple

import psutil

_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class ProcessCounts(NamedTuple):
    """What the kernel counts of one process; ``None`` if it cannot be read."""

    fds: int | None
    """Open descriptors."""
    threads: int | None
    """Threads."""
    cpu: float
    """Processor seconds so far."""


if sys.platform == "linux":

    def counts_of(pid: int) -> ProcessCounts | None:
        """Return what the kernel counts of a process; ``None`` if it has ended."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  quicker
                text = file.read()
        except OSError:
            return None
        fields = text[text.rindex(b")") + 2 :].split()
        cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        return ProcessCounts(_descriptors(pid), int(fields[17]), cpu)

    def _descriptors(pid: int) -> int | None:
        """Return the number of open descriptors; the size of their folder since Linux 6.2."""
        folder = f"/proc/{pid}/fd"
        try:
            return os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208  quicker
        except OSError:
            return None

else:

    def counts_of(pid: int) -> ProcessCounts | None:
        """Return what psutil counts of a process; ``None`` if it has ended."""
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
            threads = process.num_threads()
        except psutil.NoSuchProcess:
            return None
        except psutil.Error:
            return ProcessCounts(None, None, 0.0)
        return ProcessCounts(_descriptors(process), threads, times.user + times.system)

    def _descriptors(process: psutil.Process) -> int | None:
        try:
            return int(process.num_handles() if os.name == "nt" else process.num_fds())
        except psutil.Error:
            return None


def connections_of(pid: int) -> int | None:
    """Return the number of a process's TCP connections; ``None`` if they cannot be read."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):
        return None
    return sum(one.status != psutil.CONN_LISTEN for one in found)
