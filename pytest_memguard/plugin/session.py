"""One run: starts what is needed in this process, and plans the tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.checks.budget.check import BudgetCheck
from pytest_memguard.checks.planned import Checks, TestPlan
from pytest_memguard.errors import ConfigError
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.metrics import PYTHON
from pytest_memguard.model import Gap
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.collector_off import CollectorWatch
from pytest_memguard.plugin.explain import Suspects
from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.plugin.keys import CHECKS, ITEMS, LINE
from pytest_memguard.plugin.leak_report import LeakReport, known_leaks
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.names import (
    LEAK_MARKERS,
    REGRESSION_MARKER,
    has_checks,
    is_extended,
    names_in_use,
)
from pytest_memguard.plugin.options import refuse, settings_of, usage_error
from pytest_memguard.settings import Settings

if TYPE_CHECKING:
    from pytest_memguard.checks.protocol import TestCheck
    from pytest_memguard.extension import Check
    from pytest_memguard.plugin.baseline_session import BaselineParts
    from pytest_memguard.probes import Meter


def start(config: pytest.Config) -> Collector | None:
    """Register the hooks this process needs: around tests, for the report, or both.

    Returns:
        The collecting half, except in an xdist worker.
    """
    settings = settings_of(config)
    worker_input: dict[str, object] | None = getattr(config, "workerinput", None)
    runs_tests = worker_input is not None or not config.pluginmanager.hasplugin("dsession")
    read_known_leaks(config, settings)
    suspects = Suspects(getattr(config, "cache", None))
    probes: Mapping[str, Callable[[], Meter]] = {}
    checks: Sequence[Check] = ()
    if is_extended(config):
        from pytest_memguard.plugin.extensions import foreign_probes

        probes, checks = foreign_probes(config), config.stash.get(CHECKS, ())
    baseline = None
    if settings.has_baseline:
        from pytest_memguard.plugin.baseline_session import read_parts, register_baseline

        baseline = read_parts(config)
    gaps: list[Gap] = []
    collector = None
    if worker_input is None:
        collector = Collector(config, settings, suspects, gaps)
        config.pluginmanager.register(collector, "memguard-report")
        register_reports(config, settings, collector, checks)
    instruments = Instruments(probes, gaps, pins_allocator=settings.has_baseline and runs_tests)
    if runs_tests:
        items = ItemHooks(
            settings,
            instruments,
            suspects,
            collector.add if collector is not None else None,
            Path(config.rootpath),
            str(worker_input["workerid"]) if worker_input is not None else "",
            config.pluginmanager.register,
            Checks(own_checks(settings, baseline) + foreign_checks(checks)),
            baseline.confirm if baseline is not None else None,
        )
        config.stash[ITEMS] = items
        config.pluginmanager.register(items, "memguard-items")
        config.pluginmanager.register(Planning(), "memguard-planning")
        config.pluginmanager.register(CollectorWatch(config), "memguard-collector-watch")
    else:
        instruments.close()
    if baseline is not None:
        register_baseline(config, baseline, collector, instruments if runs_tests else None)
    return collector


def register_reports(
    config: pytest.Config, settings: Settings, collector: Collector, checks: Sequence[Check]
) -> None:
    """Register what tells the user, beside the collector.

    Args:
        config: pytest's.
        settings: the run's.
        collector: has every outcome.
        checks: those of other plugins.
    """
    config.pluginmanager.register(LeakReport(config, collector, settings), "memguard-leaks")
    if wanted_by_ci(settings):
        from pytest_memguard.plugin.ci import CiReport

        config.pluginmanager.register(CiReport(config, collector, settings), "memguard-ci")
    if settings.history is not None:
        from pytest_memguard.plugin.history import HistoryReport

        config.pluginmanager.register(
            HistoryReport(config, settings, collector), "memguard-history"
        )
    if config.getoption("xmlpath", None):
        from pytest_memguard.plugin.junit import JunitProperties

        config.pluginmanager.register(JunitProperties(config), "memguard-junit")
    if checks:
        from pytest_memguard.plugin.check_sections import CheckSections

        sections = CheckSections(checks, collector.telling)
        config.pluginmanager.register(sections, "memguard-check-sections")
    if settings.output:
        from pytest_memguard.plugin.outputs import Outputs

        config.pluginmanager.register(Outputs(config, settings, collector), "memguard-outputs")
    if settings.mem and config.get_verbosity() > 0:
        from pytest_memguard.plugin.status import StatusPeaks

        config.pluginmanager.register(StatusPeaks(), "memguard-status")


def own_checks(settings: Settings, baseline: BaselineParts | None) -> list[TestCheck]:
    """The checks of this package that a run makes, in the order in which they judge.

    Args:
        settings: the run's.
        baseline: what a run with a baseline has beside others.
    """
    found: list[TestCheck] = [BudgetCheck(settings)]
    if baseline is not None and baseline.regressions is not None:
        found.append(baseline.regressions)
    return found


def foreign_checks(checks: Sequence[Check]) -> list[TestCheck]:
    """Those of other plugins, made to look like our own."""
    if not checks:
        return []
    from pytest_memguard.checks.foreign import ForeignCheck

    return [ForeignCheck(check) for check in checks]


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


class Planning:
    """Plans the tests once they are known."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find every test's budgets; refuse to start if a marker makes no sense."""
        plan_items(session)


def plan_items(session: pytest.Session) -> None:
    """Find every test's budgets.

    Raises:
        pytest.UsageError: with a line for every marker that makes no sense. An xdist
            worker leaves its tests out instead and tells the controller.
    """
    config = session.config
    settings = settings_of(config)
    items = config.stash[ITEMS]
    used = names_in_use(session.items)
    checks = items.checks
    default = checks.default_plan()
    planned = [default]
    plans: dict[str, TestPlan | None] = {}
    for item in session.items:
        plan = checks.plan(MarkedItem(item))
        planned.append(plan)
        if plan is not default:
            plans[item.nodeid] = plan
    marked = {item.nodeid: len(item.own_markers) for item in session.items if item.own_markers}
    items.tests.take_plans(default, plans, marked, staged="stage" in used)
    items.instruments.gaps += unused_settings(config, checks)
    if has_checks(config):
        from pytest_memguard.plugin.extensions import late_hooks

        items.instruments.gaps += late_hooks(config)
    if any(plan is not None and plan.requirements.traced for plan in plans.values()):
        items.instruments.folder.prepare()
    show_long_checks(config, used)
    problems = checks.problems + other_problems(session, items, used)
    load_what_tests_need(used, [plan for plan in planned if plan is not None], settings)
    if problems:
        refuse(session, problems)


def other_problems(session: pytest.Session, items: ItemHooks, used: set[str]) -> list[str]:
    """What is wrong with markers other than those of budgets; leak checks are planned.

    Args:
        session: knows the tests.
        items: the hooks around them.
        used: which of our names the suite uses.
    """
    config = session.config
    problems: list[str] = []
    if settings_of(config).leak_check == "all" or used & LEAK_MARKERS:
        problems = problems + plan_leak_checks(session, items)
    elif "memguard" in used:  # which may check functions for leaks
        problems = problems + known_leaks(config).problems()
    if REGRESSION_MARKER in used and "regression" not in items.checks.names:
        from pytest_memguard.checks.regression.plan import marker_problems

        return problems + marker_problems(map(MarkedItem, session.items))
    return problems


def show_long_checks(config: pytest.Config, used: set[str]) -> None:
    """Prepare to show leak checks that last, if there is a terminal to show them on.

    Args:
        config: pytest's.
        used: which of our names the suite uses.
    """
    if settings_of(config).leak_check != "all" and not used & {*LEAK_MARKERS, "memguard"}:
        return
    from pytest_memguard.plugin.terminal_line import terminal_line

    line = terminal_line(config)
    if line is not None:
        config.stash[LINE] = line
        config.add_cleanup(line.close)


def unused_settings(config: pytest.Config, checks: Checks) -> list[Gap]:
    """What settings name though no test has it, where every test was there."""
    unused = checks.unused()
    if not unused:
        return []
    from pytest_memguard.plugin.scope import is_whole_suite

    return unused if is_whole_suite(config) else []


def load_what_tests_need(used: set[str], plans: Sequence[TestPlan], settings: Settings) -> None:
    """Load modules now: a test during which that were done would seem to use what they take.

    Args:
        used: which of our names the suite uses.
        plans: of all tests that have one.
        settings: the run's.
    """
    if used or plans or settings.measures_all:
        from pytest_memguard.measure import detail  # noqa: F401  for its loading
    if "memguard" in used:
        from pytest_memguard.plugin import fixture  # noqa: F401  for its loading
    if settings.drill or any(plan.requirements.traced for plan in plans):
        from pytest_memguard.measure import stream  # noqa: F401  for its loading
    if any(PYTHON.name in plan.requirements.metered for plan in plans):
        import tracemalloc  # noqa: F401  for its loading


def plan_leak_checks(session: pytest.Session, items: ItemHooks) -> list[str]:
    """Find the tests to check for leaks; register what that takes if there are any.

    Returns:
        A line for every marker that makes no sense, and one for a file of accepted leaks
        that cannot be read.
    """
    from pytest_memguard.checks.leak.plan import LeakPlanner

    config = session.config
    settings = settings_of(config)
    planner = LeakPlanner(settings)
    plans = {item.nodeid: planner.plan(MarkedItem(item)) for item in session.items}
    wanted = {nodeid: plan for nodeid, plan in plans.items() if plan is not None}
    if wanted:
        try:
            known = known_leaks(config).leaks()
        except ConfigError as error:
            return [*planner.problems, *error.problems]
        from pytest_memguard.plugin.after_repetitions import AfterRepetitions
        from pytest_memguard.plugin.leakhooks import LeakHooks

        line = config.stash.get(LINE, None)
        after = AfterRepetitions(config)
        hooks = LeakHooks(settings, wanted, known, Path(config.rootpath), items, after, line)
        items.reports.leave_out(
            {nodeid: plan.skipped for nodeid, plan in wanted.items() if plan.skipped}
        )
        items.reports.activate()
        items.instruments.gaps += hooks.gaps()
        config.pluginmanager.register(hooks, "memguard-leak-check")
    return planner.problems
