"""Markers that a test gets while it runs: those of its setup count, later ones do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.plugin.marked_items import MarkedItem

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.measure.measurement import Measurement
    from pytest_memguard.model.measurements import Finding
    from pytest_memguard.plugin.measured_tests import MeasuredTests


class ChangedMarkers:
    """Plans a test again whose markers have changed, or says that they came too late.

    Args:
        tests: begins to measure them.
        checks: plan tests.
        activate: called when there is going to be something to report about a test.
    """

    def __init__(
        self, tests: MeasuredTests, checks: Checks, activate: Callable[[], None]
    ) -> None:
        self._tests = tests
        self._state = tests.state
        self._checks = checks
        self._activate = activate

    def plan_again(self, item: pytest.Item, measurement: Measurement) -> None:
        """Find the plan of a test whose markers changed during setup.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        plan = self._checks.plan(MarkedItem(item), again=True)
        refuse_markers(self._checks.take_problems())
        measurement.plan_again(plan, self._tests.requirements_of(plan, item.nodeid))
        if self._state.setup_exceeds_limit:
            self._activate()

    def findings(self, item: pytest.Item, *, failed: bool) -> list[Finding]:
        """A finding for each marker of a check that the test has added while it ran.

        Raises:
            pytest.fail.Exception: if one of them makes no sense.
        """
        before = self._state.markers
        if len(item.own_markers) == len(before):
            return []
        from pytest_memguard.plugin.late_markers import TOO_LATE

        test = MarkedItem(item)
        found = self._checks.too_late(test, test.added_since(before), TOO_LATE)
        problems = self._checks.take_problems()
        if not failed:
            refuse_markers(problems)
        return found


def refuse_markers(problems: list[str]) -> None:
    """Fail a test with what is wrong with its markers, if anything is.

    Raises:
        pytest.fail.Exception: with a line for each problem.
    """
    if problems:
        raise pytest.fail.Exception("\n".join(problems), pytrace=False)
