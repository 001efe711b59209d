"""The list of all checks: those of this package, and those of other plugins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.checks.budget.check import BudgetCheck, SecondMeasurement
from pytest_memguard.checks.planned import Checks
from pytest_memguard.checks.protocol import TestCheck
from pytest_memguard.plugin.keys import CHECKS, EXPECTED
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.names import LEAK_MARKERS, NEEDS_MARKER, REGRESSION_MARKER
from pytest_memguard.plugin.options import settings_of

if TYPE_CHECKING:
    from pytest_memguard.checks.regression.check import RegressionCheck


def checks_of(
    config: pytest.Config, regressions: RegressionCheck | None, again: SecondMeasurement
) -> Checks:
    """The checks of a run.

    Args:
        config: the configuration of pytest.
        regressions: holds tests against the baseline, if there is one.
        again: measures tests again whose budgets could not be judged.
    """

    def make(names: AbstractSet[str]) -> list[TestCheck]:
        return [
            BudgetCheck(settings_of(config), again),
            *_leak_check(config, names),
            *([regressions] if regressions is not None else _regression_markers(names)),
            *_needs_check(config, names),
            *_foreign_checks(config),
        ]

    return Checks(make)


def marker_problems(items: Sequence[pytest.Item]) -> list[str]:
    """What is wrong with markers of the regression check, in a run that makes no check.

    Args:
        items: the tests; some of them have such a marker.
    """
    checks = Checks(_regression_markers)
    checks.begin({REGRESSION_MARKER})
    for item in items:
        checks.plan(MarkedItem(item))
    return checks.take_problems()


def _leak_check(config: pytest.Config, names: AbstractSet[str]) -> list[TestCheck]:
    settings = settings_of(config)
    functions_alone = settings.leak_check != "all" and names.isdisjoint(LEAK_MARKERS)
    if functions_alone and "memguard" not in names:
        return []
    from pytest_memguard.checks.leak.check import LeakTestCheck
    from pytest_memguard.plugin.repeating.leak_report import known_leaks

    root = f"{config.rootpath}{os.sep}"
    known = known_leaks(config)
    return [LeakTestCheck(settings, known, root, functions_alone=functions_alone)]


def _regression_markers(names: AbstractSet[str]) -> list[TestCheck]:
    if REGRESSION_MARKER not in names:
        return []
    from pytest_memguard.checks.regression.markers import RegressionMarkers

    return [RegressionMarkers()]


def _needs_check(config: pytest.Config, names: AbstractSet[str]) -> list[TestCheck]:
    if NEEDS_MARKER not in names and EXPECTED not in config.stash:
        return []
    from pytest_memguard.plugin.parallel.needed_memory import needs_check

    return [needs_check(config, are_declared=NEEDS_MARKER in names)]


def _foreign_checks(config: pytest.Config) -> list[TestCheck]:
    checks = config.stash.get(CHECKS, ())
    if not checks:
        return []
    from pytest_memguard.checks.foreign import ForeignCheck

    return [ForeignCheck(check) for check in checks]
