"""Holds the test that runs to its hard budgets, phase by phase and stage by stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_memguard.measure.hard_stops import Doubt, Stopped
from pytest_memguard.measure.held_levels import HeldLevels, Holder
from pytest_memguard.measure.limit_hits import HasPath, LimitHits
from pytest_memguard.model.measurements import Budget, PhaseName

if TYPE_CHECKING:
    from pytest_memguard.probes.array_errors import ArrayErrors
    from pytest_memguard.probes.used_errors import UsedErrors


class CaughtErrors(Protocol):
    """Notices MemoryErrors that a test catches."""

    def begin(self) -> None:
        """Notice them from now on."""

    def end(self) -> bool:
        """Notice no more; return whether there was one of which nothing else is known."""

    def close(self) -> None:
        """Let go of the interpreter."""


class HardLimits:
    """Says which budgets hold for each phase and stage of a test, and where it met one.

    Args:
        holder: holds the process to a level.
        root: what paths are shown relative to, with a separator at its end.
        rise: returns how far resident memory has risen in the phase that lasts.
        stages_are_hard: whether budgets that stages bring along are hard.

    Attributes:
        held: the levels in force.
        hits: notes what reaches them.
        errors: notices MemoryErrors that a test catches, if anything can.
        arrays: notices those of numpy, where that needs a way of its own.
    """

    def __init__(
        self,
        holder: Holder,
        root: str,
        rise: Callable[[], int],
        *,
        stages_are_hard: bool,
    ) -> None:
        self.errors: CaughtErrors | None = None
        self.arrays: ArrayErrors | None = None
        self._stages_are_hard = stages_are_hard
        self._budgets: Sequence[Budget] = ()
        self._covering: Sequence[Budget] = ()
        self._phase: PhaseName | None = None
        self._open_stages: list[str] = []
        self._of_stages: Sequence[Budget] = ()
        self.held = HeldLevels(holder, self._note_hit, self._replace_array_errors)
        self.hits = LimitHits(self.held, self._open_stages, root, rise)

    def use(self, errors: UsedErrors) -> None:
        """Take what notices after the fact that there was a MemoryError."""
        self.errors = self.hits.evidence = errors

    def _note_hit(self) -> None:
        self.hits.note_hit()

    def _replace_array_errors(self) -> None:
        if self.arrays is not None:
            self.arrays.replace()

    # The phases of a test

    def begin(self, budgets: Sequence[Budget], phase: PhaseName, test: HasPath) -> None:
        """Hold a phase to the budgets that cover it.

        Args:
            budgets: the test's hard ones.
            phase: which begins.
            test: whose.
        """
        if budgets is not self._budgets or phase != self._phase:  # most are like the last
            self._budgets, self._phase = budgets, phase
            self._of_stages = [b for b in budgets if b.stage is not None]
            self._covering = [
                b for b in budgets if b.stage is None and b.phase in (phase, "all")
            ]
        if self._open_stages:
            self._open_stages.clear()
        self.hits.begin(test)
        self.held.begin(self._covering, phase)
        if self.errors is not None:
            self.errors.begin()
        if self.arrays is not None:
            self.arrays.replace()
        self.held.hold()

    def end(self, error: BaseException | None) -> Stopped | Doubt | None:
        """Say where a phase was stopped, or what keeps that from being known.

        Args:
            error: what it has ended with.
        """
        self.held.lift()
        was_used = self.errors.end() if self.errors is not None else False
        try:
            return self.hits.result(error, was_used=was_used)
        finally:
            self.held.clear()
            self.hits.clear()

    # Stages

    def enter(self, path: str, budget: Budget | None) -> None:
        """Hold a stage to its budgets.

        Args:
            path: its name after those of its parents.
            budget: that it brings along.
        """
        if not self.held.is_open:
            return
        self._open_stages.append(path)
        hard = [limit for limit in self._of_stages if _is_stage(path, limit)]
        if budget is not None and budget.limit and self._stages_are_hard:
            hard.append(budget)
        if hard:
            self.held.add(hard, path)

    def leave(self, path: str) -> None:
        """Hold the rest of the test to its other budgets, and note what a stage ends with."""
        if not self.held.is_open or path not in self._open_stages:
            return
        self.held.pause()  # there may be no memory left to take notes with
        error = sys.exc_info()[1]
        if isinstance(error, MemoryError):
            self.hits.note_leaving(id(error))
        elif error is None:
            self.hits.note_used()
        del error
        self.held.go_on()
        self._open_stages.reverse()
        self._open_stages.remove(path)
        self._open_stages.reverse()
        self.held.drop(path)


def _is_stage(path: str, budget: Budget) -> bool:
    return path == budget.stage or path.endswith(f"/{budget.stage}")
