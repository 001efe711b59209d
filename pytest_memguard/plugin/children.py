"""What the descendants of each test used, which no number of the process itself includes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.uncounted_children import children_peak, uncounted_children
from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Gap
from pytest_memguard.probes.ended_children import (
    counted_faults,
    ended_children,
    most_touched,
    own_memory,
    touched_since,
)
from pytest_memguard.probes.newest_pid import NewestPid

if TYPE_CHECKING:
    from pytest_memguard.measure.current_test import CurrentTest
    from pytest_memguard.model.measurements import Budget, Peak
    from pytest_memguard.probes.ended_children import EndedChildren
    from pytest_memguard.probes.tree_client import TreeClient
    from pytest_memguard.probes.tree_marks import Since

_SUBJECT: Final = "what the children of tests use"


class ChildrenWatch:
    """Follows the descendants of one test after the other.

    A test begins where the one before has ended. Two counters of the kernel show whether there
    can have been any descendants: most tests have none, and cost no more than reading these.

    Args:
        state: what is known of the test that runs.
        gaps: takes why descendants cannot be followed.

    Attributes:
        faults: page faults of children that had ended when the last test did, as the kernel
            counts them.
        peak: what the descendants of the test that has ended used; ``None`` if it had none.
    """

    def __init__(self, state: CurrentTest, gaps: list[Gap]) -> None:
        self._state = state
        self._gaps = gaps
        self._before: EndedChildren = ended_children()
        self.faults = self._before.counted
        self.peak: Peak | None = None
        self._so_far: Peak | None = None
        self._samples = self._lives = False
        self._mark = f"test of {id(self)}"  # a run of pytest may be inside another one
        self._client: Callable[[], TreeClient] | None = None
        self._newest_pid: NewestPid | None = None
        self._newest: bytes | None = None

    def begin(self, before: EndedChildren) -> None:
        """Begin with the test that runs.

        Args:
            before: what was known of children when it began.
        """
        self._before = before

    def sample(self) -> None:
        """Have descendants sampled from now on."""
        if self._samples or self._gaps_known():
            return
        from pytest_memguard.probes.tree_client import tree_client

        try:
            self._lives = tree_client().mark(self._mark, always=False).living > 0
        except Unmeasurable as error:
            self._lose(error)
        else:
            self._samples, self._client = True, tree_client
            self._newest_pid = NewestPid()
        self._begin_next()  # the sampler itself is none of a test's children

    def may_matter(self, room: float) -> bool:
        """Whether children that have ended since the last test may have used a budget up.

        If not, they are counted to no test.

        Args:
            room: bytes between the test's own peak and the budget.
        """
        now = ended_children()
        touched = touched_since(self._before, now)
        if touched and touched > room:
            return True
        self._before, self.faults = now, now.counted
        return False

    def end(self, *, was_measured: bool) -> None:
        """Note what the descendants of a test used that has ended.

        Args:
            was_measured: whether anything is reported of them; if not, those of the tests
                that follow are not sampled either, which takes a part of a core.
        """
        self.note()
        self.peak, self._so_far = self._so_far, None
        if self.peak is not None and was_measured:
            self.sample()

    def note(self) -> None:
        """Note what descendants have used so far; what we start ourselves comes next."""
        newest = self._read_newest()
        is_same = newest is not None and newest == self._newest and not self._lives
        if counted_faults() == self._before.counted and (is_same or not self._samples):
            return
        now, since = ended_children(), self._read()
        if (since is not None and since.seen) or now.faults != self._before.faults:
            peak = self._peak(since, now)
            if self._so_far is None or self._so_far.ceiling < peak.ceiling:
                self._so_far = peak
        self._begin_next()

    def leave_out(self) -> None:
        """Forget what descendants have used since the last note."""
        if self._samples:
            self._read()
        self._begin_next()

    def _peak(self, since: Since | None, now: EndedChildren) -> Peak:
        if since is None:
            return children_peak(sampled=(0, 0), unseen=touched_since(self._before, now))
        touched = most_touched(since.unseen_faults)
        # one that was there before may have had its peak in an earlier test
        is_new = now.peak > self._before.peak and not since.at_start
        return children_peak(
            sampled=(since.below, since.below_most + since.spikes),
            unseen=now.peak if touched is None else touched,
            largest=max(0, now.peak - self._own_peak()) if is_new else 0,
            forgets=since.forgets,
        )

    def in_phases(self, phases: Sequence[PhaseReading]) -> tuple[PhaseReading, ...]:
        """Return a test's phases with what its descendants used, in the call if it had one."""
        if self.peak is None or not phases:
            return tuple(phases)
        at = next((n for n, phase in enumerate(phases) if phase.name == "call"), 0)
        complete = list(phases)
        complete[at] = replace(phases[at], peaks=(*phases[at].peaks, self.peak))
        return tuple(complete)

    def notes(self, budgets: Sequence[Budget], own: Peak | None) -> list[str]:
        """Return that a budget does not count them, if they would have exceeded it.

        Args:
            budgets: the budgets of the test.
            own: the peak of the process itself.
        """
        if self.peak is None:
            return []
        note = uncounted_children(budgets, own.value if own is not None else 0, self.peak)
        return [note] if note else []

    def close(self) -> None:
        """Follow no more descendants; end the sampler, unless something else uses it."""
        if self._samples:
            from pytest_memguard.probes.tree_client import tree_client

            tree_client().drop(self._mark)
        self._samples = False
        if self._newest_pid is not None:
            self._newest_pid.close()
        client = sys.modules.get("pytest_memguard.probes.tree_client")
        if client is not None:
            client.close_client()

    def forget_sampler(self) -> None:
        """In a forked child: leave the sampler to the parent, whose descendants it samples."""
        self._samples = self._lives = False
        self._newest_pid = None
        self._begin_next()

    def _read(self) -> Since | None:
        if self._client is None or not self._samples:
            return None
        try:
            since = self._client().read_and_mark(self._mark)
        except Unmeasurable as error:
            self._lose(error)
            return None
        self._lives = since.living > 0
        return since

    def _begin_next(self) -> None:
        """Begin with the next test."""
        self._newest = self._read_newest()
        self._before = ended_children()
        self.faults = self._before.counted

    def _read_newest(self) -> bytes | None:
        return None if self._newest_pid is None else self._newest_pid.read()

    def _own_peak(self) -> int:
        """Bytes of the highest level of the process itself, which its children inherit."""
        measured = [phase.region.highs[0] for phase in self._state.begun()]
        return max([own_memory()[0], *measured])

    def _gaps_known(self) -> bool:
        return any(gap.subject == _SUBJECT for gap in self._gaps)

    def _lose(self, error: Unmeasurable) -> None:
        self._samples = False
        if not self._gaps_known():
            self._gaps.append(Gap(subject=_SUBJECT, reason=str(error)))
