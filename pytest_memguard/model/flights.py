"""The frozen values of flight records: what a process wrote down, and how it was lost."""

from __future__ import annotations

import signal
from typing import Literal

from pytest_memguard.values import dataclass

LineKind = Literal["start", "end", "raised"]
Cause = Literal[
    "out-of-memory", "killed", "ended", "crashed", "exited", "disconnected", "unknown"
]
"""How a process was lost: the kernel killed it for lack of memory, something else sent SIGKILL,
another signal ended it, a fault of its code did, it exited by itself, it does not answer, or
that is not known."""
AloneResult = Literal["passed", "skipped", "failed", "killed", "not-run", "not-alone"]
"""How a test ended that ran once more: "killed" with its process, "not-run" if it did not,
"not-alone" if pytest-xdist had run it again by itself, which decides."""
Driver = Literal["running", "earlier", "several", "neighbour", "unknown", "none"]
"""What drove the memory: the test that was running, one before it, many together, a test in
another process, something that is not known, or memory was not the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightLine:
    """One line of a flight record."""

    kind: LineKind
    """The start or end of a test, or what a shortened record keeps of earlier tests."""
    level: int
    """Resident bytes at that moment; the upper end of what was raised."""
    highest: int = 0
    """Highest resident bytes of the process, or of a child process that has ended."""
    time: float = 0.0
    """Seconds since 1970."""
    nodeid: str = ""
    """The test, unless the line ends one."""
    low: int = 0
    """Resident bytes below what was raised."""
    tests: int = 1
    """Number of tests that raised it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """The flight record of one process, as it was read."""

    path: str
    """Its file."""
    worker: str = ""
    """Name of the pytest-xdist worker; empty without one."""
    pid: int = 0
    """Number of the process; 0 if it is not known."""
    level: int = 0
    """Resident bytes when the record began."""
    highest: int = 0
    """Highest resident bytes when the record began."""
    time: float = 0.0
    """Seconds since 1970 when the record began."""
    tests: int = 0
    """Number of tests that the record no longer has, because it was shortened."""
    lines: tuple[FlightLine, ...] = ()
    """Its lines, in order."""
    problems: tuple[str, ...] = ()
    """What could not be read, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of a process's level, and who raised the level through it for good."""

    low: int
    """Resident bytes below."""
    high: int
    """Resident bytes above."""
    nodeid: str
    """The test; empty for several, and for what happened between tests."""
    tests: int = 1
    """Number of tests; 0 for what happened between tests."""

    @property
    def size(self) -> int:
        """Bytes of the range."""
        return self.high - self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known about the end of a process."""

    signal: int | None = None
    """Number of the signal that ended it."""
    exit_code: int | None = None
    """Its exit code."""
    running: bool = False
    """Whether it still exists."""
    highest: int | None = None
    """Highest resident bytes that the kernel saw of it; ``None`` if that is not known."""
    oom_kills: int | None = None
    """By how much the counter of out-of-memory kills rose; ``None`` if nothing counts them."""
    oom_source: str = ""
    """Whose counter that is, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another process of the run, at the moment when one was lost."""

    worker: str
    """Name of the worker."""
    level: int
    """Resident bytes."""
    running: str
    """The test that was running; empty if there was none."""
    rise: int
    """Resident bytes above the level at the start of that test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAlone:
    """How a test ended that ran once more, alone, after its worker was killed for memory."""

    nodeid: str
    """The test."""
    result: AloneResult
    """How it ended."""
    workers: int
    """Number of workers at the moment of the kill."""
    highest: int | None = None
    """Highest resident bytes of its process; ``None`` if they are not known."""
    reason: str = ""
    """Why it did not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWorker:
    """A worker, or a whole run, that did not end by itself, and why."""

    worker: str
    """Name of the pytest-xdist worker; empty for a run without any."""
    cause: Cause
    """How it was lost."""
    ending: Ending
    """What is known about its end."""
    driver: Driver
    """What drove the memory."""
    driver_test: str = ""
    """The test that drove the memory, if it was one."""
    driver_size: int = 0
    """Bytes that it, or several tests together, had raised the level by."""
    running: str = ""
    """The test that was running; empty if there was none."""
    running_seconds: float | None = None
    """For how long; ``None`` if the moment of the end is not known."""
    named: str = ""
    """The test that pytest-xdist named, if it is another one."""
    level: int | None = None
    """Resident bytes when the running test started, or after the last test."""
    rise: int | None = None
    """Highest resident bytes above that level while the test ran."""
    rise_is_bound: bool = False
    """Whether the rise may have been lower: an earlier test had reached the same."""
    raised: tuple[Span, ...] = ()
    """The tests that had raised the level for good, the largest first."""
    more_tests: int = 0
    """Number of further tests that had."""
    more_size: int = 0
    """Bytes by which those had."""
    before: int = 0
    """Resident bytes that no test had raised."""
    tests: int = 0
    """Number of tests that had ended."""
    neighbours: tuple[Neighbour, ...] = ()
    """The other workers at that moment."""
    problems: tuple[str, ...] = ()
    """What could not be found out, and why."""
    record: str = ""
    """File of the flight record; empty if there is none."""
    time: float = 0.0
    """Seconds since 1970 of the end, or of the last line."""
    alone: RunAlone | None = None
    """How its test ended when it ran once more, alone."""


def signal_name(number: int) -> str:
    """Return the name of a signal: SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
