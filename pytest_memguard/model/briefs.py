"""The few numbers of a test that totals and tables of all tests need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from pytest_memguard.model.metrics import CHILDREN
from pytest_memguard.model.results import Outcome

Key: TypeAlias = str | tuple[str, str]
"""A node id, behind the name of the process where xdist gave it one."""


class Brief(NamedTuple):
    """What is needed of each test, in bytes of resident memory and seconds."""

    nodeid: str
    """pytest's name for the test."""
    worker: str
    """Name of the pytest-xdist worker; empty without one."""
    overhead: float
    """Seconds that measuring it took."""
    peak: int | None
    """The peak that reports show; ``None`` if none was measured."""
    largest: int
    """The largest peak of any phase, with what children used: a test may do its work there."""
    start: int | None
    """The level before its first phase; ``None`` if none was measured."""
    end: int
    """The level after its last phase."""
    highest: int
    """The highest level during any phase."""
    of: Outcome | Key
    """The result, or the key under which it is read."""


@runtime_checkable
class Briefed(Protocol):
    """Keeps results in a form from which briefs are made sooner than from the results."""

    def briefs(self) -> Iterator[Brief]:
        """Yield what is needed of each test."""

    def read(self, keys: Sequence[Key]) -> Iterator[Outcome]:
        """Yield the results of some tests, in the order wanted."""


def briefs(outcomes: Iterable[Outcome]) -> Iterator[Brief]:
    """Yield what is needed of each test."""
    return outcomes.briefs() if isinstance(outcomes, Briefed) else map(brief_of, outcomes)


def whole(outcomes: Iterable[Outcome], some: Iterable[Brief]) -> list[Outcome]:
    """Return the results of some tests.

    Args:
        outcomes: where the briefs are from.
        some: the briefs.
    """
    found = []
    for brief in some:
        if isinstance(brief.of, Outcome):
            found.append(brief.of)
        elif isinstance(outcomes, Briefed):
            found += outcomes.read([brief.of])
    return found


def brief_of(outcome: Outcome) -> Brief:
    """Return what is needed of a test that is at hand."""
    peak, start, end, highest = outcome.peak, None, 0, 0
    largest = max((phase.peaks[0].value for phase in outcome.phases if phase.peaks), default=0)
    for phase in outcome.phases:
        own, children = phase.peak(), phase.peak(CHILDREN.name)
        if own is not None:
            start = phase.level if start is None else start
            end = phase.level + phase.growth
            highest = max(highest, phase.level + own.value)
        if children is not None:
            largest += children.value
    return Brief(
        outcome.nodeid,
        outcome.worker,
        outcome.overhead,
        None if peak is None else peak.value,
        largest,
        start,
        end,
        highest,
        outcome,
    )
