"""One run: starts what is needed in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.tracker_share import TrackerShare
from pytest_memguard.model.results import Gap
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.checks_of_run import checks_of
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.collector_off import CollectorWatch
from pytest_memguard.plugin.fresh.extra_measurements import ExtraMeasurements
from pytest_memguard.plugin.fresh.fresh_budgets import FreshBudgets
from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.plugin.keys import CHECKS, FRESH, ITEMS
from pytest_memguard.plugin.names import is_extended
from pytest_memguard.plugin.options import runs_tests, settings_of, usage_error
from pytest_memguard.plugin.planning import Planning
from pytest_memguard.plugin.repeating.leak_report import LeakReport, known_leaks
from pytest_memguard.plugin.suspects import TRACED_LINE, Suspects, TracedLine

if TYPE_CHECKING:
    from pytest_memguard.extension import Check
    from pytest_memguard.probes import Meter


def start(config: pytest.Config) -> Collector | None:
    """Register the hooks this process needs: around tests, for the report, or both.

    Returns:
        The collecting half, except in an xdist worker.
    """
    settings = settings_of(config)
    worker_input: dict[str, object] | None = getattr(config, "workerinput", None)
    has_tests = runs_tests(config)
    read_known_leaks(config, settings)
    suspects = Suspects(getattr(config, "cache", None))
    probes: Mapping[str, Callable[[], Meter]] = {}
    checks: Sequence[Check] = ()
    if is_extended(config):
        from pytest_memguard.plugin.extensions import foreign_probes

        probes, checks = foreign_probes(config), config.stash.get(CHECKS, ())
    baseline = None
    if settings.has_baseline:
        from pytest_memguard.plugin.baseline.baseline_session import (
            read_parts,
            register_baseline,
        )

        baseline = read_parts(config)
    gaps: list[Gap] = []
    collector = None
    fresh = FreshBudgets(settings)
    share = TrackerShare(settings.tracker_share, fresh.is_ready)
    extra = ExtraMeasurements(share, fresh)
    config.pluginmanager.register(extra, "memguard-extra-measurements")
    config.stash[FRESH] = fresh
    if worker_input is None:
        collector = Collector(config, settings, suspects, gaps, extra)
        config.pluginmanager.register(collector, "memguard-report")
        register_reports(config, settings, collector, checks)
    instruments = Instruments(
        probes,
        gaps,
        pins_allocator=settings.has_baseline and has_tests,
        tracker_share=share,
        screen=fresh.screen,
    )
    if has_tests:
        items = ItemHooks(
            settings,
            instruments,
            suspects,
            collector,
            Path(config.rootpath),
            str(worker_input["workerid"]) if worker_input is not None else "",
            config.pluginmanager.register,
            checks_of(config, baseline.regressions if baseline is not None else None, fresh),
            baseline.confirm if baseline is not None else None,
        )
        config.stash[ITEMS] = items
        config.pluginmanager.register(items, "memguard-items")
        config.pluginmanager.register(Planning(), "memguard-planning")
        if suspects and settings.explain == "next" and not settings.stores:
            register_traced_line(config, suspects)
        config.pluginmanager.register(CollectorWatch(config), "memguard-collector-watch")
    else:
        instruments.close()
    if settings.runs_parallel:
        begin_parallel(config, collector)
    if baseline is not None:
        register_baseline(config, baseline, collector, instruments if has_tests else None)
    return collector


def begin_parallel(config: pytest.Config, collector: Collector | None) -> None:
    """Let tests wait until there is memory for them.

    Args:
        config: the configuration of pytest.
        collector: the report's half; ``None`` in a worker.
    """
    from pytest_memguard.plugin.parallel import parallel_start

    if collector is None:
        parallel_start.begin_worker(config)
    else:
        parallel_start.begin(config, collector)


def register_traced_line(config: pytest.Config, suspects: Suspects) -> None:
    """Register what says how many tests are traced, unless it has been.

    Args:
        config: the configuration of pytest.
        suspects: the tests.
    """
    if not config.pluginmanager.hasplugin(TRACED_LINE):
        config.pluginmanager.register(TracedLine(suspects), TRACED_LINE)


def register_reports(
    config: pytest.Config, settings: Settings, collector: Collector, checks: Sequence[Check]
) -> None:
    """Register what prints, beside the collector.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        collector: has every outcome.
        checks: those of other plugins.
    """
    config.pluginmanager.register(LeakReport(config, collector, settings), "memguard-leaks")
    if wanted_by_ci(settings):
        from pytest_memguard.plugin.ci import CiReport

        config.pluginmanager.register(CiReport(config, collector, settings), "memguard-ci")
    if settings.history is not None:
        from pytest_memguard.plugin.baseline.history import HistoryReport

        config.pluginmanager.register(
            HistoryReport(config, settings, collector), "memguard-history"
        )
    if config.getoption("xmlpath", None):
        from pytest_memguard.plugin.junit import JunitProperties

        config.pluginmanager.register(JunitProperties(config), "memguard-junit")
    if checks:
        from pytest_memguard.plugin.check_sections import CheckSections

        sections = CheckSections(checks, collector.detailed)
        config.pluginmanager.register(sections, "memguard-check-sections")
    if settings.output:
        from pytest_memguard.plugin.outputs import Outputs

        config.pluginmanager.register(Outputs(config, settings, collector), "memguard-outputs")
    if config.get_verbosity() <= 0:
        from pytest_memguard.plugin.quiet_failures import QuietFailures

        config.pluginmanager.register(QuietFailures(), "memguard-quiet-failures")
    if settings.mem and config.get_verbosity() > 0:
        from pytest_memguard.plugin.status import StatusPeaks

        config.pluginmanager.register(StatusPeaks(), "memguard-status")


def wanted_by_ci(settings: Settings) -> bool:
    """Whether anything is to be written for a CI service."""
    on_github = settings.github == "auto" and "GITHUB_ACTIONS" in os.environ
    return on_github or settings.markdown is not None or settings.gitlab is not None


def read_known_leaks(config: pytest.Config, settings: Settings) -> None:
    """Read the leaks that were accepted before, at once if the whole run is about leaks.

    Raises:
        pytest.UsageError: if their file cannot be read.
    """
    if settings.leak_check == "all" or settings.leak_accept:
        try:
            known_leaks(config).leaks()
        except ConfigError as error:
            raise usage_error(error.problems) from error
