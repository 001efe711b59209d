"""The leak check of tests: once a test has passed, repeat it, and fail it if it leaks."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Final

import pytest

from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.checks.leak.check import LeakTestCheck
from pytest_memguard.checks.leak.plan import LeakPlan
from pytest_memguard.clock import Clock
from pytest_memguard.errors import LeakDetected
from pytest_memguard.model.leaks import LeakReading
from pytest_memguard.model.results import Gap, Outcome
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.collector_off import SWITCH_OFF
from pytest_memguard.plugin.earlier_garbage import EarlierGarbage
from pytest_memguard.plugin.failures import Leak, Undecided
from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.plugin.keys import INTERRUPTED
from pytest_memguard.plugin.pytest_internals.items import has_failed
from pytest_memguard.plugin.repeating.after_repetitions import AfterRepetitions
from pytest_memguard.plugin.repeating.owners import owners_of
from pytest_memguard.plugin.repeating.repeated_calls import repetition_of
from pytest_memguard.plugin.repeating.repeats import RepeatedItem, doctest_names
from pytest_memguard.plugin.repeating.terminal_line import TerminalLine
from pytest_memguard.plugin.repeating.time_limits import seconds_left
from pytest_memguard.recording.check import LeakCheck
from pytest_memguard.recording.limits import Limits

_SHARE_OF_TIMEOUT: Final = 0.5  # explaining a leak takes up to half as long again


def failure(message: str, reading: LeakReading) -> LeakDetected:
    """What a test fails with.

    Args:
        message: the whole text.
        reading: leaking, or undecided where that counts as much.
    """
    return (Leak if reading.verdict.state == "leaking" else Undecided)(message, reading)


class LeakHooks:
    """The hooks around a test that its leak check needs.

    Args:
        settings: the settings of the run.
        check: has planned the tests, and decides about what their repetitions show.
        items: the hooks that measure tests and hand their outcomes on.
        after: counts the tests that fail after a repetition has gone wrong.
        line: shows a check that lasts, if there is a terminal.
    """

    def __init__(
        self,
        settings: Settings,
        check: LeakTestCheck,
        items: ItemHooks,
        after: AfterRepetitions,
        line: TerminalLine | None = None,
    ) -> None:
        self._plans = check.plans
        self._known = check.known.leaks()
        self._verdicts = check.verdicts
        self._config: pytest.Config | None = None
        self._line = line
        self._check = LeakCheck(settings.leak_blame, self._owners, watcher=line)
        self._items = items
        self._after = after
        self._seconds = 0.0
        self._started = 0.0
        self._gc_enabled = True
        self._torn: BaseException | None = None
        self._kept = 0
        self._repeating = False
        self._repeated: RepeatedItem | None = None
        self._set_up: RepeatedItem | None = None
        self._names: dict[str, Any] | None = None
        self._filters: list[Any] = []
        self._subtest_failed = False
        self._garbage = EarlierGarbage()

    def gaps(self) -> list[Gap]:
        """What the check cannot see here."""
        return self._check.counters().gaps

    def pytest_sessionfinish(self) -> None:
        """There is no more to check."""
        self._check.close()
        self._after.close()
        self._garbage.report()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note what the test starts from."""
        if not self._repeating:
            self._names = doctest_names(item) if item.nodeid in self._plans else None
            self._subtest_failed = False
            self._started, self._seconds = time.monotonic(), 0.0
            self._gc_enabled = gc.isenabled() or self._module_switched_gc_off(item)
            self._torn = None
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        """Note a fixture of the session or package that switches the collector off.

        The suite runs without it from there on; the test that asked first is no exception.
        """
        before = gc.isenabled()
        result = yield
        if before and not gc.isenabled() and fixturedef.scope in {"session", "package"}:
            self._gc_enabled = False
        return result

    @staticmethod
    def _module_switched_gc_off(item: pytest.Item) -> bool:
        modules = item.config.stash.get(SWITCH_OFF, set())
        return bool(modules) and any(node.nodeid in modules for node in item.listchain())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Check the test once its call has passed."""
        if self._repeating:
            return (yield)
        self._filters = list(warnings.filters)
        plan = self._plans.get(item.nodeid)
        checked = plan is not None and not plan.skipped
        if checked and self._gc_enabled:
            self._garbage.collect()
        heap = self._check.heap() if checked else 0
        self._garbage.note_test()
        result = yield
        if (
            plan is None
            or not checked
            or self._items.measures_again
            or self._subtest_failed
            or has_failed(item)
        ):
            return result
        start = time.perf_counter()
        self._kept = self._check.kept_since(heap, collect=self._gc_enabled)
        try:
            reading = self._judge(item, plan)
        finally:
            self._seconds = time.perf_counter() - start
        self._garbage.note_collected()
        if reading is not None:
            self._items.repeated.leak = reading
            if self._verdicts.fails(reading):
                raise failure(self._verdicts.text(reading, item.nodeid), reading)
            self._items.repeated.compare_leak(item, reading)
        return result

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_call")
    def pytest_runtest_call_begins(self) -> None:
        """Note for what repeats a test that its own code begins: all wrappers have begun."""
        if self._repeated is not None:
            self._repeated.is_called()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a subtest that failed: the test goes on, and does not raise at its end."""
        if report.failed:
            self._subtest_failed = True

    @pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_runtest_teardown")
    def pytest_runtest_teardown_begins(self) -> Generator[None, object, object]:
        """Set a test that was repeated up once more, so that its hooks run in pairs."""
        repeated = self._set_up if not self._repeating else None
        if repeated is None:
            return (yield)
        self._set_up = None
        self._repeating = True
        self._items.repeated.repeat(lasts=True)
        try:
            repeated.set_up()
        finally:
            self._repeating = False
            self._items.repeated.repeat(lasts=False)
        try:
            return (yield)
        finally:
            repeated.clean_up()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Let what went wrong when the test was torn down be an error of its teardown."""
        result = yield
        if self._torn is not None and not self._repeating:
            torn, self._torn = self._torn, None
            raise torn
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Leave the check's time out of the test's duration; note what has failed."""
        if call.when == "call" and self._seconds:
            call.duration = max(0.0, call.duration - self._seconds)
            call.stop = call.start + call.duration
            self._seconds = 0.0
        report = yield
        if report.failed and call.excinfo is not None:
            self._after.note(item.nodeid, call.excinfo.value)
        return report

    def _judge(self, item: pytest.Item, plan: LeakPlan) -> LeakReading | None:
        repeated = repetition_of(item, self._names, self._filters)
        limits = plan.limits
        left = seconds_left(item, self._started)
        if left is not None:
            end = Clock.seconds() + left
            left = max(0.0, left * _SHARE_OF_TIMEOUT)
            limits = replace(limits, seconds=min(limits.seconds, left), end=end)
        self._config = item.config
        self._repeating = True
        try:
            with repeated:
                self._items.phases.measure_early_teardown(
                    item, lambda: self._tear_down(repeated)
                )
                if self._torn is not None:
                    return None
                reading = self._check_again(item, repeated, plan, limits)
        finally:
            self._repeating = False
        if repeated.went_wrong:
            self._after.went_wrong(item.nodeid)
        self._set_up = None if repeated.went_wrong else repeated
        return self._verdicts.accepted(
            reading,
            tolerance=plan.tolerance,
            ignore=plan.ignore,
            known=self._known,
            nodeid=item.nodeid,
        )

    def _check_again(
        self, item: pytest.Item, repeated: RepeatedItem, plan: LeakPlan, limits: Limits
    ) -> LeakReading:
        """Repeat the test until there is a verdict."""
        if self._line is not None:
            self._line.begin(item.nodeid, limits.seconds)
        self._repeated = repeated
        self._items.repeated.repeat(lasts=True)
        try:
            return self._check.run(
                repeated,
                limits,
                resources=plan.resources,
                respect_disabled=self._gc_enabled,
                kept=self._kept,
            )
        except (KeyboardInterrupt, pytest.exit.Exception):
            reading = self._check.interrupted
            if reading is not None:  # pytest makes no report of the test
                item.config.stash[INTERRUPTED] = Outcome(nodeid=item.nodeid, leak=reading)
            raise
        finally:
            if self._line is not None:
                self._line.end()
            self._repeated = None
            self._items.repeated.repeat(lasts=False)

    def _owners(self) -> Owners:
        return () if self._config is None else owners_of(self._config)

    def _tear_down(self, repeated: RepeatedItem) -> None:
        self._torn = repeated.tear_down()
