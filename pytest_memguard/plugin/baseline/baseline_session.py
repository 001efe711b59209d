"""Prepares a run with a baseline: in the process that reports, and where tests run."""

from __future__ import annotations

import pytest

from pytest_memguard.checks.globs import matcher
from pytest_memguard.checks.regression.check import RegressionCheck
from pytest_memguard.forking.isolation import can_fork
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.model.results import Outcome
from pytest_memguard.plugin.baseline.baseline_report import BaselineReport
from pytest_memguard.plugin.baseline.records import Record, read_record, regression_check
from pytest_memguard.plugin.baseline.scope import Scope
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.fresh.forked_process import process_for
from pytest_memguard.plugin.fresh.fresh_regressions import NO_FORK, FreshRegressions
from pytest_memguard.plugin.keys import LOADED
from pytest_memguard.plugin.loaded_libraries import LoadedLibraries
from pytest_memguard.plugin.options import settings_of
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineParts:
    """What a run with a baseline has beside others."""

    record: Record
    """What the files hold."""
    confirm: FreshRegressions | None
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
    accepted = [matcher(glob) for glob in settings.accept]

    def is_stored(outcome: Outcome) -> bool:
        if settings.saves and not outcome.findings:
            return True
        return any(matches(outcome.nodeid) for matches in accepted)

    confirm = None
    if settings.confirm and can_fork():
        confirm = FreshRegressions(settings.confirm, process_for(config), is_stored)
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
        config: the configuration of pytest.
        parts: what was read.
        collector: the report's half; ``None`` in a worker.
        instruments: of a process that runs tests; ``None`` in others.
    """
    settings = settings_of(config)
    loaded = LoadedLibraries()
    if settings.saves or settings.accept:
        config.stash[LOADED] = loaded
        config.pluginmanager.register(loaded, "memguard-loaded-libraries")
        if parts.confirm is not None:
            shared = parts.confirm.shared_fills
            config.pluginmanager.register(shared, "memguard-shared-fills")
    scope = Scope(config)
    config.pluginmanager.register(scope, "memguard-scope")
    if collector is not None:
        report = BaselineReport(collector, settings, scope, parts.record, parts.confirm, loaded)
        config.pluginmanager.register(report, "memguard-baseline")
    if instruments is None:
        return
    if settings.drill:
        instruments.no_heap  # noqa: B018  imports memray now, not in a test
    if parts.confirm is not None:
        config.pluginmanager.register(parts.confirm, "memguard-confirm")
    elif settings.confirm:
        instruments.gaps.append(NO_FORK)
