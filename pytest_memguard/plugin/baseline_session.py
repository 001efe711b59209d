"""Prepares a run with a baseline: in the process that reports, and where tests run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_memguard.checks.globs import matcher
from pytest_memguard.checks.regression.check import RegressionCheck
from pytest_memguard.isolation import can_fork
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.model import CallSite, Outcome
from pytest_memguard.plugin.baseline_report import BaselineReport
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.confirm import NO_FORK, Confirm
from pytest_memguard.plugin.keys import ITEMS
from pytest_memguard.plugin.options import settings_of
from pytest_memguard.plugin.records import Record, read_record, regression_check
from pytest_memguard.plugin.scope import Scope
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineParts:
    """What a run with a baseline has beside others."""

    record: Record
    """What the files hold."""
    confirm: Confirm | None
    """Measures tests again, if asked for."""
    regressions: RegressionCheck | None
    """Decides about limits that the baseline sets, if there is one."""


def read_parts(config: pytest.Config) -> BaselineParts:
    """Read the baseline.

    Raises:
        pytest.UsageError: if the file cannot be used.
    """
    settings = settings_of(config)
    record = read_record(config)

    def measure_again(item: pytest.Item, metric: str) -> Any:
        """Ask the hooks around tests, which are made with what asks for this."""
        return config.stash[ITEMS].rerun.alone(item, metric)

    def trace(item: pytest.Item, calls: int) -> Sequence[CallSite]:
        """Ask them for lines."""
        return config.stash[ITEMS].rerun.lines(item, calls)

    accepted = [matcher(glob) for glob in settings.accept]

    def is_stored(outcome: Outcome) -> bool:
        if settings.saves and not outcome.findings:
            return True
        return any(matches(outcome.nodeid) for matches in accepted)

    again = settings.confirm and can_fork()
    confirm = Confirm(settings.confirm, measure_again, trace, is_stored) if again else None
    compares = settings.compares and record.old is not None
    regressions = regression_check(settings, record, confirm) if compares else None
    return BaselineParts(record=record, confirm=confirm, regressions=regressions)


def register_baseline(
    config: pytest.Config,
    parts: BaselineParts,
    collector: Collector | None,
    instruments: Instruments | None,
) -> None:
    """Register what compares and stores.

    Args:
        config: pytest's.
        parts: what was read.
        collector: the report's half; ``None`` in a worker.
        instruments: of a process that runs tests; ``None`` in others.
    """
    settings = settings_of(config)
    scope = Scope(config)
    config.pluginmanager.register(scope, "memguard-scope")
    if collector is not None:
        report = BaselineReport(collector, settings, scope, parts.record, parts.confirm)
        config.pluginmanager.register(report, "memguard-baseline")
    if instruments is None:
        return
    if settings.drill:
        instruments.no_heap  # noqa: B018  imports memray now, not in a test
    if parts.confirm is not None:
        config.pluginmanager.register(parts.confirm, "memguard-confirm")
    elif settings.confirm:
        instruments.gaps.append(NO_FORK)
