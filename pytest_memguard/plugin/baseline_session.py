"""Starts what a run with a baseline needs: in the process that reports, and where tests run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from pytest_memguard.isolation import can_fork
from pytest_memguard.model import Finding, Gap
from pytest_memguard.plugin.baseline_report import BaselineReport
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.confirm import NO_FORK, Confirm
from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.plugin.options import settings_of
from pytest_memguard.plugin.records import read_record, regression_check
from pytest_memguard.plugin.scope import Scope
from pytest_memguard.recording.holes import holes
from pytest_memguard.recording.steady import steady_allocator

_NOT_STEADY: Final = Gap(
    subject="large blocks alike in every run",
    reason="that takes glibc 2.33 or later; what earlier tests freed may move a peak",
)


def start_baseline(
    config: pytest.Config, collector: Collector | None, items: ItemHooks | None
) -> None:
    """Read the baseline, and register what compares and stores.

    Args:
        config: pytest's.
        collector: the report's half; ``None`` in a worker.
        items: the hooks around tests; ``None`` where no tests run.

    Raises:
        pytest.UsageError: if the file cannot be used.
    """
    settings = settings_of(config)
    record = read_record(config)
    scope = Scope(config)
    config.pluginmanager.register(scope, "memguard-scope")
    if collector is not None:
        report = BaselineReport(collector, settings, scope, record)
        config.pluginmanager.register(report, "memguard-baseline")
    if items is None:
        return
    items.instruments.holes = holes() if steady_allocator() else None
    if items.instruments.holes is None:
        items.instruments.gaps.append(_NOT_STEADY)
    if settings.drill:
        items.instruments.no_heap  # noqa: B018  imports memray now, not in a test
    if settings.compares and record.old is not None:
        items.regressions = regression_check(settings, record, _findings_of(items))
    if settings.confirm and not can_fork():
        items.instruments.gaps.append(NO_FORK)
    elif settings.confirm:
        confirm = Confirm(settings.confirm, items.measure_again)
        items.reports.confirm = confirm
        if items.regressions is not None:
            items.regressions.confirm = confirm
        config.pluginmanager.register(confirm, "memguard-confirm")


def _findings_of(items: ItemHooks) -> Callable[[Finding], None]:
    """Where findings about the test that runs go."""

    def keep(finding: Finding) -> None:
        look = items.looks.look_now()
        if look is not None:
            look.detail_now().findings.append(finding)

    return keep
