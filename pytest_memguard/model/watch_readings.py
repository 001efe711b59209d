"""What a test's result says of another program that the test watched."""

from __future__ import annotations

from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSignal:
    """One signal of a watched program; bytes, or a number of things."""

    signal: str
    """Its name."""
    verdict: str
    """``flat``, ``plateau``, ``growing`` or ``undecided``; empty if it was not judged."""
    first: int | None
    """The first reading; ``None`` if it could not be read."""
    last: int | None
    """The latest one."""
    peak: int | None
    """The highest one."""
    per_hour: float = 0.0
    """Growth per hour after the warm-up."""
    low: float = 0.0
    """Lower end of its 95 % interval."""
    high: float = 0.0
    """Upper end of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedStage:
    """A named part of a recording."""

    name: str
    """Its name."""
    seconds: float
    """How long it lasted."""
    verdict: str
    """The verdict on it."""
    before: int | None
    """Resident bytes at its start; ``None`` if they could not be read."""
    after: int | None
    """Resident bytes at its end."""
    peak: int | None
    """Resident bytes at the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReading:
    """A recording of `watch`, without its samples."""

    command: str
    """The command line of the process that was watched last."""
    pid: int
    """Its number."""
    seconds: float
    """How long it was watched."""
    samples: int
    """How often."""
    restarts: int
    """How often another process has taken its place."""
    verdict: str
    """The verdict."""
    doubt: str = ""
    """Why it is undecided; empty if it is not."""
    signals: tuple[WatchedSignal, ...] = ()
    """The signals."""
    stages: tuple[WatchedStage, ...] = ()
    """The named parts, in the order in which they ended."""
