"""Markers of the regression check in a run that compares nothing: they are read, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memguard.checks.protocol import MarkedTest, TestCheck
from pytest_memguard.checks.regression.plan import RegressionPlanner
from pytest_memguard.errors import MemoryRegression

if TYPE_CHECKING:
    from typing import Any

    from pytest_memguard.checks.protocol import Limits
    from pytest_memguard.model.measurements import Finding


class RegressionMarkers(TestCheck):
    """Refuses markers that make no sense, and judges nothing."""

    name = "regression"
    error = MemoryRegression
    measures = False

    def __init__(self) -> None:
        self._planner = RegressionPlanner((), {})

    def plan(
        self,
        test: MarkedTest,
        limits: Limits,
        problems: list[str],
    ) -> Any:
        """Read the markers of a test."""
        self._planner.rules(test, problems)

    def owns(self, finding: Finding) -> bool:
        """No finding."""
        return False

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """Nothing."""
        return False
