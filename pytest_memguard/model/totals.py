"""Adds up what the tests of a run used, by process and for the whole run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pytest_memguard.model.briefs import Brief, briefs
from pytest_memguard.model.results import Outcome, Totals


def totals(outcomes: Iterable[Outcome]) -> tuple[Totals, ...]:
    """Sums per process, then of the whole run; every outcome is read once."""
    sums: defaultdict[str, _Sum] = defaultdict(_Sum)
    for brief in briefs(outcomes):
        sums[brief.worker].add(brief)
    per_worker = [sums[worker].totals(worker) for worker in sorted(sums)]
    if len(per_worker) == 1 and not per_worker[0].worker:
        return tuple(per_worker)
    whole = Totals(
        worker="",
        tests=sum(t.tests for t in per_worker),
        start=sum(t.start for t in per_worker),
        end=sum(t.end for t in per_worker),
        highest=sum(t.highest for t in per_worker),
        overhead=sum(t.overhead for t in per_worker),
    )
    return (*per_worker, whole)


class _Sum:
    """What the tests of one process used so far, in bytes and seconds."""

    def __init__(self) -> None:
        self.tests = self.highest = self.end = 0
        self.start: int | None = None
        self.overhead = 0.0

    def add(self, brief: Brief) -> None:
        """Count the test that ended next."""
        self.tests += 1
        self.overhead += brief.overhead
        if brief.start is None:  # resident memory is not known
            return
        if self.start is None:
            self.start = brief.start
        self.end = brief.end
        self.highest = max(self.highest, brief.highest)

    def totals(self, worker: str) -> Totals:
        """All of it.

        Args:
            worker: xdist's name for the process.
        """
        return Totals(
            worker=worker,
            tests=self.tests,
            start=self.start or 0,
            end=self.end,
            highest=self.highest,
            overhead=self.overhead,
        )
