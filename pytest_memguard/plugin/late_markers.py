"""Markers that tests get while they run, when it is too late to measure what they ask for."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from pytest_memguard.escapes import one_line
from pytest_memguard.judge.budget import not_measured
from pytest_memguard.plugin.plans import MARKER

if TYPE_CHECKING:
    import pytest

    from pytest_memguard.model import Finding
    from pytest_memguard.plugin.foreign_checks import ForeignChecks
    from pytest_memguard.plugin.plans import Planner

TOO_LATE: Final = (
    "the test added the marker during its call, when measuring had begun; a fixture can add it "
    "in time"
)
_SHOWN: Final = 10


def write_unheeded(reporter: pytest.TerminalReporter, late: list[str]) -> None:
    """Say which markers had no effect, because nothing was measured in the whole run.

    Args:
        reporter: pytest's.
        late: tests and names of markers, as `late_markers` returns them.
    """
    reporter.section("memory")
    for line in late[:_SHOWN]:
        reporter.line(
            f"{one_line(line)} was not checked: it was added while the tests ran, and no test "
            "had a marker of memguard's when they were collected (not-measured)"
        )
    if len(late) > _SHOWN:
        reporter.line(f"... and {len(late) - _SHOWN} more")


def late_findings(
    planner: Planner,
    checks: ForeignChecks | None,
    item: pytest.Item,
    before: Collection[pytest.Mark],
) -> list[Finding]:
    """A finding for each marker of a check that the test has added during its call.

    Args:
        planner: reads markers, and gathers what is wrong with them.
        checks: those of other plugins, if there are any.
        item: the test; its call has ended.
        before: its own markers when the call began.
    """
    known = {id(mark) for mark in before}
    late = [mark for mark in item.own_markers if id(mark) not in known]
    budgets = [planner.budget_of(item, mark) for mark in late if mark.name == MARKER]
    found = [not_measured(budget, TOO_LATE) for budget in budgets if budget is not None]
    return found if checks is None else [*found, *checks.late_findings(late, TOO_LATE)]
