"""Reads levels of this process that have no high-water mark: own pages, open files, threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_memguard.model.alerts import AlertSignal
from pytest_memguard.model.leaks import Signal
from pytest_memguard.probes.counters import Counters
from pytest_memguard.probes.own_children import PIDS
from pytest_memguard.probes.signal_readers import Reader

_NAMES: Final[Mapping[AlertSignal, Signal]] = {
    "worker uss": "USS",
    "worker fds": "open files",
    "worker threads": "native threads",
    "worker children": "child processes",
}


class ProcessLevels:
    """Reads what is asked for, as it is at that moment.

    Args:
        signals: what is read; others than those with a reader are left out.

    Attributes:
        readers: those that work here.
        problems: why one does not.
    """

    def __init__(self, signals: set[AlertSignal]) -> None:
        counters = Counters()
        gaps = {gap.subject.rpartition(": ")[2]: gap.reason for gap in counters.gaps}
        self.readers: dict[AlertSignal, Reader] = {}
        self.problems: dict[AlertSignal, str] = {}
        for signal, name in _NAMES.items():
            reader = counters.readers.get(name)
            if signal not in signals:
                continue
            if reader is None:
                self.problems[signal] = gaps.get(name, "this system does not report it")
            elif signal == "worker children":
                self.readers[signal] = _Children(reader, counters.readers["native threads"])
            else:
                self.readers[signal] = reader


class _Children:
    """Counts the child processes that are none of ours.

    Args:
        read: counts all of them; it relies on the number of threads that was read last.
        threads: reads that number.
    """

    def __init__(self, read: Reader, threads: Reader) -> None:
        self._read = read
        self._threads = threads

    def __call__(self) -> int:
        """Count them."""
        self._threads()
        return max(0, self._read() - len(PIDS))
