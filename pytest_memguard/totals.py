"""Adds up what the tests of a run used, by process and for the whole run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pytest_memguard.model import Outcome, Totals


def totals(outcomes: Iterable[Outcome]) -> tuple[Totals, ...]:
    """Sums per process, then of the whole run; every outcome is looked at once."""
    sums: defaultdict[str, _Sum] = defaultdict(_Sum)
    for outcome in outcomes:
        sums[outcome.worker].add(outcome)
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

    def add(self, outcome: Outcome) -> None:
        """Count the test that ended next."""
        self.tests += 1
        self.overhead += outcome.overhead
        for phase in outcome.phases:
            peak = phase.peak()
            if peak is None:  # nothing tells resident memory
                continue
            if self.start is None:
                self.start = phase.level
            self.end = phase.level + phase.growth
            self.highest = max(self.highest, phase.level + peak.value)

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
