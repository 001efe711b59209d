"""The frozen values of runs that are stopped for lack of memory, and when they are."""

from __future__ import annotations

from typing import Final

from pytest_memguard.sizes import GIB, MIB
from pytest_memguard.values import dataclass

_SHARE: Final = 0.05
_LEAST_RESERVE: Final = 64 * MIB
_MOST_RESERVE: Final = GIB
_FURTHER: Final = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLevel:
    """What one process of the run used when it was stopped."""

    pid: int
    """Its number."""
    parent: int
    """That of its parent."""
    size: int
    """Resident bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The moment at which a run used too much."""

    used: int
    """Bytes of all its processes; what several of them share counts once."""
    available: int | None
    """Bytes left under the limit of the system, if that is why the run was stopped."""
    source: str
    """Whose limit that is; empty if it is not the reason."""
    processes: tuple[ProcessLevel, ...]
    """Its processes."""
    time: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one test, or one worker, had of the memory of a run that was stopped."""

    nodeid: str
    """The test; empty for a worker that has run all its tests."""
    worker: str
    """Name of the pytest-xdist worker; empty without one."""
    size: int
    """Bytes."""
    running: bool
    """Whether it was running; otherwise it had kept them for good."""
    children: int = 0
    """How many of the bytes its child processes had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Why a run was stopped, and which tests had the memory."""

    reason: str
    """What it passed, in one sentence."""
    used: int
    """Bytes of all its processes; what several of them share counts once."""
    parts: tuple[Part, ...]
    """What had most, the largest first."""
    more_tests: int
    """Number of further tests."""
    more_size: int
    """Bytes that those had."""
    rest: int
    """Bytes that no test had raised."""
    problems: tuple[str, ...] = ()
    """What is not known, and why."""
    time: float = 0.0
    """Seconds since 1970."""


def reserve_of(limit: int) -> int:
    """Return how many bytes of a limit a run leaves alone.

    It is what the run may still take between two samples, and until it has stopped.

    Args:
        limit: of the container or the machine.
    """
    return min(_MOST_RESERVE, max(_LEAST_RESERVE, int(limit * _SHARE)))


def last_line(size: int) -> int:
    """Return the bytes at which a run that does not stop by itself is killed.

    Args:
        size: the bytes at which it was to stop.
    """
    return int(size * _FURTHER) + _LEAST_RESERVE
