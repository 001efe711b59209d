"""The frozen values of admission: what processes hold, what tests need, and how they waited."""

from __future__ import annotations

from typing import Final

from pytest_memguard.sizes import MIB
from pytest_memguard.values import dataclass

SMALL: Final = 16 * MIB
"""Bytes below which a test is expected to need so little that it never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process has of the memory that runs share."""

    run: int = 0
    """Number of its run, which no other run has."""
    pid: int = 0
    """Its number; 0 if there is no such process."""
    level: int = 0
    """Bytes that it holds between tests."""
    need: int = 0
    """Bytes that the test that runs in it was admitted with; 0 if it has none."""
    wanted: int = 0
    """Bytes that its test waits for; 0 if none waits."""
    ticket: int = 0
    """Its place in the queue, the lowest first; 0 if it does not wait."""
    beat: int = 0
    """When it has last checked whether it may start, in milliseconds."""
    test: int = 0
    """Index of the test that waits, in the order of collection."""
    known: int = 0
    """Number of tests of which it knows what they need."""
    median: int = 0
    """What these need in the median, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a test is expected to need above the level of its process."""

    size: int
    """Bytes."""
    source: str
    """Who says so: "the marker", "the baseline", "the history", "its budget"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a test waits for, in bytes."""

    wanted: int
    """What it wants."""
    taken: int
    """What all processes have."""
    elsewhere: int
    """As much of it as those of other runs have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """How one test came to start."""

    need: Need
    """What it was admitted with."""
    waited: float = 0.0
    """Seconds for which it waited."""
    needs: int = 0
    """What all tests that ran at that moment had been admitted with, itself included."""
    levels: int = 0
    """What all processes held beside."""
    elsewhere: int = 0
    """What other runs had while it waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitedTest:
    """A test that waited for memory."""

    nodeid: str
    """pytest's name for the test."""
    worker: str
    """Name of the pytest-xdist worker; empty without one."""
    need: Need
    """What it waited for."""
    seconds: float
    """How long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceededNeed:
    """A test that used far more than it was counted with."""

    nodeid: str
    """pytest's name for the test."""
    need: Need
    """What it was counted with."""
    used: int
    """Bytes that it used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelRun:
    """How the tests of a run shared the memory."""

    size: int
    """Bytes that all tests and processes may use together."""
    source: str
    """Who set it: "--mem-parallel"."""
    reason: str = ""
    """Why it is that many, if that was found out."""
    admitted: int = 0
    """Number of tests that were large enough to be admitted."""
    waited: tuple[WaitedTest, ...] = ()
    """Those of them that waited, the longest first."""
    exceeded: tuple[ExceededNeed, ...] = ()
    """Tests that used far more than they were counted with, the furthest first."""
    needs: int = 0
    """The highest sum of what tests at one moment had been admitted with."""
    levels: int = 0
    """What the processes held beside at that moment."""
    elsewhere: int = 0
    """What other runs had while tests of this one waited, at most."""
    real: int = 0
    """The highest sum that all processes of the run really used; 0 if it was not measured."""
    real_is: str = ""
    """What that sum is, or why there is none."""

    @property
    def seconds(self) -> float:
        """Sum of the waits."""
        return sum(test.seconds for test in self.waited)
