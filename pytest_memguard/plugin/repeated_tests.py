"""Tests that are repeated to look for leaks: what is measured of them, and what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.model.leaks import LeakReading
    from pytest_memguard.plugin.children import ChildrenWatch
    from pytest_memguard.plugin.measured_tests import MeasuredTests
    from pytest_memguard.plugin.phases import Phases


class RepeatedTests:
    """Takes the results of leak checks, and measures nothing while a test is repeated.

    Args:
        tests: begins to measure them.
        phases: acts on what was found.
        checks: judge what a call leaves behind.
        children: follows the descendants of tests.
        activate: called when there is going to be something to report about a test.
    """

    def __init__(
        self,
        tests: MeasuredTests,
        phases: Phases,
        checks: Checks,
        children: ChildrenWatch,
        activate: Callable[[], None],
    ) -> None:
        self._tests = tests
        self._state = tests.state
        self._phases = phases
        self._checks = checks
        self._children = children
        self._activate = activate

    @property
    def leak(self) -> LeakReading | None:
        """What the leak check found in the test that runs."""
        return self._state.leak

    @leak.setter
    def leak(self, reading: LeakReading) -> None:
        self._state.leak = reading
        self._activate()

    def compare_leak(self, item: pytest.Item, reading: LeakReading) -> None:
        """Hold what a call leaves behind against the baseline.

        Raises:
            MemoryRegression: if it is more than was.
        """
        state = self._state
        if not state.is_measured:
            return
        found = self._checks.judge_leak(state.plan, reading)
        if found:
            self._tests.measurement.detail_now()
            state.findings += found
            self._phases.act(item, "call", found)

    def repeat(self, *, lasts: bool) -> None:
        """Measure nothing while a test is repeated, and forget then what is no longer so.

        Args:
            lasts: whether it is being repeated from now on; if not, it has been.
        """
        self._tests.paused = self._tests.is_taken = lasts
        if lasts:
            self._children.note()
        else:
            self._children.leave_out()
            self._tests.begin_anew()
