"""What each test is expected to need, by its markers and by what is recorded."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_memguard.checks.budget.check import BudgetCheck
from pytest_memguard.checks.needs.marker import DeclaredNeeds
from pytest_memguard.checks.protocol import MarkedTest
from pytest_memguard.model.admission import SMALL, Need
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.options.settings import Settings


class ExpectedNeeds:
    """Finds what tests are expected to need, before they run.

    Args:
        settings: the settings of the run.
        recorded: bytes by node id, for each source; the first that has a test counts.
    """

    def __init__(self, settings: Settings, recorded: Mapping[str, Mapping[str, int]]) -> None:
        self._declared = DeclaredNeeds()
        self._budgets = BudgetCheck(settings)
        self._recorded = recorded
        self._found: dict[str, Need | None] = {}

    def of(self, test: MarkedTest) -> Need | None:
        """Return what a test is expected to need; ``None`` if nothing says so.

        What it declares counts first, then what is recorded, then its own budget: the default
        budget of all tests says nothing about one of them.
        """
        nodeid = test.nodeid
        if nodeid not in self._found:
            self._found[nodeid] = self._find(test)
        return self._found[nodeid]

    def _find(self, test: MarkedTest) -> Need | None:
        problems: list[str] = []  # those who plan the tests report them
        declared = self._declared.of(test, problems)
        if declared:
            return Need(size=declared, source="the marker")
        for source, sizes in self._recorded.items():
            # --dist=loadgroup adds the group to the name
            size = sizes.get(test.nodeid, sizes.get(test.nodeid.rpartition("@")[0]))
            if size is not None:
                return Need(size=size, source=source)
        plan = self._budgets.plan(test, list, problems)
        if plan is None or plan is self._budgets.default_plan():
            return None
        limits = [b.limit for b in plan if metric_named(b.metric).is_memory and b.stage is None]
        return Need(size=max(limits), source="its budget") if limits else None

    def is_watched(self, test: MarkedTest) -> bool:
        """Return whether a test is measured: unless it is known to need next to nothing."""
        need = self.of(test)
        return need is None or need.size >= SMALL
