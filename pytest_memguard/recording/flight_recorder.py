"""Writes the flight record of this process: a line at the start and at the end of each test.

Each line is handed to the kernel at once, so it survives whatever ends the process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.raised_levels import RaisedLevels, shortened
from pytest_memguard.model.flights import Flight
from pytest_memguard.probes.descriptors import (
    CheckedDescriptor,
    OwnDescriptor,
    kept_open,
)
from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.sizes import KIB
from pytest_memguard.storage.flight_records import (
    end_line,
    header_line,
    raised_lines,
    start_line,
)

LONGEST: Final = 256 * KIB
"""Bytes from which on a record is replaced by a short one."""
_MOST_SPANS: Final = 200
"""Number of raised ranges from which on small ones are put together."""
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)


class FlightRecorder:
    """Writes a record, until it is closed or cannot be written.

    Args:
        path: the file, in a folder that exists.
        worker: name of the pytest-xdist worker; empty without one.

    Raises:
        OSError: if the file cannot be made.
        Unmeasurable: if nothing reports resident memory.
    """

    def __init__(self, path: Path, worker: str) -> None:
        # held here, not looked up: tests replace what they find in modules
        self._now, self._pid, self._write_to = time.time, os.getpid, os.write
        self._level = resident_reader()
        self._highest = highest_reader()
        self._path = path
        self._owner = os.getpid()
        self._size = self._tests = 0
        self._stopped = False
        self._running = ""
        self._flight = Flight(
            path=str(path),
            worker=worker,
            pid=self._owner,
            level=self._level(),
            highest=self._highest(),
            time=self._now(),
        )
        self._raised = RaisedLevels(self._flight.level)
        self._file = _opened(path, os.O_CREAT | os.O_TRUNC)
        self._write(header_line(self._flight))

    def start(self, nodeid: str) -> None:
        """Write that a test starts."""
        if self._pid() == self._owner and not self._stopped:
            try:
                level = self._level()
            except Unmeasurable as error:
                self._stop(str(error))
                return
            if level != self._raised.level:
                self._raised.move(level, "", 0)
            self._running = nodeid
            self._write(start_line(self._now(), level, self._highest(), nodeid))

    def end(self) -> None:
        """Write that the test has ended."""
        if self._pid() == self._owner and not self._stopped:
            try:
                level = self._level()
            except Unmeasurable as error:
                self._stop(str(error))
                return
            if level != self._raised.level:
                self._raised.move(level, self._running)
            self._tests += 1
            self._write(end_line(self._now(), level, self._highest()))
            if len(self._raised.spans) > _MOST_SPANS:
                self._raised.spans = shortened(self._raised.spans)
            if self._size > LONGEST:
                self._shorten()

    def close(self) -> None:
        """Remove the record: the process has come to its end."""
        if self._pid() == self._owner:
            self._stopped = True
            self._file.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _write(self, line: str) -> None:
        data = line.encode("ascii")
        try:
            if not self._file.is_ours():  # a test has closed every descriptor
                self._file = _opened(self._path)
            written = self._write_to(self._file.number, data)
        except OSError as error:
            self._stop(error.strerror or str(error))
            return
        self._size += written
        if written < len(data):
            self._stop("the disk is full")

    def _stop(self, reason: str) -> None:
        """Say in the record why it ends: what runs later must not seem to be an earlier test.

        A record that cannot even say that is removed.
        """
        self._stopped = True
        try:
            os.truncate(self._path, 0)  # makes room, if that is what lacks
            self._path.write_text(header_line(self._flight, reason), encoding="ascii")
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._file.close()

    def _shorten(self) -> None:
        """Replace the record by what is needed of it. Readers see the old one or the new."""
        spans = self._raised.spans = shortened(self._raised.spans)
        flight = replace(
            self._flight,
            level=spans[0].low if spans else self._raised.level,
            highest=self._highest(),
            time=self._now(),
            tests=self._tests,
        )
        text = header_line(flight) + raised_lines(spans)
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(text, encoding="ascii")
            self._file.close()
            beside.replace(self._path)
            self._file = _opened(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            self._stop(error.strerror or str(error))
            return
        self._size = len(text)


def highest_reader() -> Callable[[], int]:
    """Return a function that returns the highest resident bytes of this process.

    Child processes that have ended count, because the kernel counts them when it reports on a
    process that was killed.
    """
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        process = psutil.Process()
        return lambda: int(getattr(process.memory_info(), "peak_wset", 0))
    usage, children = resource.getrusage, resource.RUSAGE_CHILDREN
    # the mark is the same for each thread, and adding up their times takes longer
    own = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else KIB

    def highest() -> int:
        mine, theirs = usage(own).ru_maxrss, usage(children).ru_maxrss
        return (mine if mine > theirs else theirs) * unit  # noqa: FURB136  a call costs more

    return highest


def _opened(path: Path, flags: int = 0) -> OwnDescriptor | CheckedDescriptor:
    """Open a file for appending.

    Args:
        path: the file.
        flags: further ones for `os.open`.
    """
    return kept_open(os.open(path, _FLAGS | flags, 0o600))
