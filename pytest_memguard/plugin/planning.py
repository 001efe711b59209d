"""Plans the tests, once they are known, and prepares for what they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.checks.planned import Checks, TestPlan
from pytest_memguard.model.metrics import PYTHON, TREE
from pytest_memguard.model.results import Gap
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.fresh.forked_process import process_for
from pytest_memguard.plugin.keys import FRESH, ITEMS, LINE
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.names import (
    ISOLATE_MARKER,
    LEAK_MARKERS,
    NEEDS_MARKER,
    has_checks,
    names_in_use,
)
from pytest_memguard.plugin.options import refuse, settings_of

if TYPE_CHECKING:
    from pytest_memguard.checks.isolation.plan import IsolationPlan
    from pytest_memguard.plugin.items import ItemHooks


class Planning:
    """Plans the tests once they are known."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan every test; refuse to start if a marker makes no sense."""
        plan_items(session)


def plan_items(session: pytest.Session) -> None:
    """Have every test planned by all checks.

    Raises:
        pytest.UsageError: with a line for every marker that makes no sense. An xdist
            worker leaves its tests out instead and reports that to the controller.
    """
    config = session.config
    settings = settings_of(config)
    items = config.stash[ITEMS]
    used = names_in_use(session.items)
    if NEEDS_MARKER in used:
        from pytest_memguard.plugin.parallel.needed_memory import skip_impossible

        skip_impossible(session)
    plans = plan_all(session.items, items.checks, used)
    default = items.checks.default_plan()
    own = {nodeid: plan for nodeid, plan in plans.items() if plan is not default}
    marked = {item.nodeid: len(item.own_markers) for item in session.items if item.own_markers}
    items.tests.take_plans(default, own, marked, staged="stage" in used)
    has_stages = bool(used & {"stage", "memguard"})  # which may bring budgets along
    items.suspects.choose(
        nodeid for nodeid, plan in plans.items() if has_stages or has_limits(plan)
    )
    items.instruments.gaps += unused_settings(config, items.checks)
    if has_checks(config):
        from pytest_memguard.plugin.extensions import late_hooks

        items.instruments.gaps += late_hooks(config)
    if any(plan is not None and plan.requirements.traced for plan in own.values()):
        items.instruments.folder.prepare()
    show_long_checks(config, used)
    problems = items.checks.take_problems()
    isolated: Mapping[pytest.Item, IsolationPlan] = {}
    if settings.isolate != "off" or ISOLATE_MARKER in used:
        from pytest_memguard.plugin.isolating.isolation import plan_isolation

        isolated = plan_isolation(session, settings, problems)
    measured = [plan for plan in (default, *own.values()) if plan is not None]
    load_what_tests_need(used, measured, settings)
    share = items.instruments.tracker_share
    config.stash[FRESH].begin(config, measured, share, process_for)
    if problems:
        refuse(session, problems)
    else:
        if settings.hard or any(plan.requirements.hard for plan in measured):
            from pytest_memguard.plugin.hard import hard_start

            hard_start.begin(config, settings, items, measured, used)
        repeat_tests(config, items)
        if isolated:
            from pytest_memguard.plugin.isolating import isolation

            isolation.begin(session, items, isolated)


def has_limits(plan: TestPlan | None) -> bool:
    """Whether a test can have a breach whose allocation lines are printed."""
    return plan is not None and bool(plan.requirements.limits)


def plan_all(
    tests: Sequence[pytest.Item], checks: Checks, used: set[str]
) -> dict[str, TestPlan | None]:
    """The plan of each test, by node id.

    Args:
        tests: all of them.
        checks: plan them.
        used: which of our names the suite uses.
    """
    checks.begin(used)
    plans = {item.nodeid: checks.plan(MarkedItem(item)) for item in tests}
    checks.planned()
    return plans


def show_long_checks(config: pytest.Config, used: set[str]) -> None:
    """Prepare to show leak checks that last, if there is a terminal to show them on.

    Args:
        config: the configuration of pytest.
        used: which of our names the suite uses.
    """
    if settings_of(config).leak_check != "all" and not used & {*LEAK_MARKERS, "memguard"}:
        return
    from pytest_memguard.plugin.repeating.terminal_line import terminal_line

    line = terminal_line(config)
    if line is not None:
        config.stash[LINE] = line
        config.add_cleanup(line.close)


def unused_settings(config: pytest.Config, checks: Checks) -> list[Gap]:
    """What settings name though no test has it, where every test was there."""
    if not checks.have_unused():
        return []
    from pytest_memguard.plugin.baseline.scope import is_whole_suite

    return checks.unused() if is_whole_suite(config) else []


def load_what_tests_need(used: set[str], plans: Sequence[TestPlan], settings: Settings) -> None:
    """Load modules now: a test during which that were done would seem to use what they take.

    Args:
        used: which of our names the suite uses.
        plans: of all tests that have one.
        settings: the settings of the run.
    """
    if used or plans or settings.measures_all:
        from pytest_memguard.measure import detail, stages  # noqa: F401  for their loading
    if "memguard" in used:
        from pytest_memguard.plugin import fixture  # noqa: F401  for its loading
    if settings.drill or any(plan.requirements.traced for plan in plans):
        from pytest_memguard.measure import stream  # noqa: F401  for its loading
    if any(PYTHON.name in plan.requirements.metered for plan in plans):
        import tracemalloc  # noqa: F401  for its loading
    if any(TREE.name in plan.requirements.metered for plan in plans):
        from pytest_memguard.probes.tree import start_sampler

        start_sampler()


def repeat_tests(config: pytest.Config, items: ItemHooks) -> None:
    """Register what repeats tests to check them for leaks, if there are any to check.

    Args:
        config: the configuration of pytest.
        items: the hooks around tests.
    """
    check = items.checks.find("leak")
    if check is None:
        return
    from pytest_memguard.checks.leak.check import LeakTestCheck

    if not isinstance(check, LeakTestCheck) or not check.plans:
        return
    from pytest_memguard.plugin.repeating.after_repetitions import AfterRepetitions
    from pytest_memguard.plugin.repeating.leakhooks import LeakHooks

    line, after = config.stash.get(LINE, None), AfterRepetitions(config)
    hooks = LeakHooks(settings_of(config), check, items, after, line)
    items.reports.activate()
    items.instruments.gaps += hooks.gaps()
    config.pluginmanager.register(hooks, "memguard-leak-check")
