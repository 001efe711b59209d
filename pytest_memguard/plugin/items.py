"""The hooks of a process that runs tests, and all that measures them there."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_memguard import watch_host
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.stage_host import set_current
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.bounded_tests import BoundedTests
from pytest_memguard.plugin.children import ChildrenWatch
from pytest_memguard.plugin.explainer import Explainer
from pytest_memguard.plugin.fast_hooks import FastHooks
from pytest_memguard.plugin.found import Found
from pytest_memguard.plugin.fresh.rerun import Rerun
from pytest_memguard.plugin.measured_tests import MeasuredTests
from pytest_memguard.plugin.options import GAPS
from pytest_memguard.plugin.outcomes import OutcomeHooks, Sink
from pytest_memguard.plugin.phases import Phases
from pytest_memguard.plugin.repeated_tests import RepeatedTests
from pytest_memguard.plugin.slow_hooks import SetupHooks, SlowHooks
from pytest_memguard.plugin.so_far import SoFar
from pytest_memguard.plugin.suspects import Suspects

if TYPE_CHECKING:
    from pytest_memguard.checks.planned import Checks
    from pytest_memguard.plugin.fresh.fresh_regressions import FreshRegressions


class ItemHooks:
    """Measures tests, in every process that runs any, and acts on what was found.

    Args:
        settings: the settings of the run.
        instruments: the instruments of the process.
        suspects: the tests whose last run left a question.
        sink: takes outcomes; ``None`` in a worker, whose outcomes travel on reports.
        root: what paths are shown relative to.
        worker: xdist's name for this process.
        register: registers more hooks, once they are needed.
        checks: plan and judge tests.
        confirm: measures tests again, if asked for.

    Attributes:
        tests: begins to measure them.
        phases: begin and end, and what was found in them is acted on.
        bounded: goes on with tests that a high-water mark alone has bounded.
        repeated: takes the results of leak checks.
        reports: makes outcomes.
        children: follows the descendants of tests.
        rerun: runs a test once more.
        confirm: measures tests again, if asked for.
        suspects: the tests whose last run left a question.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        sink: Sink | None,
        root: Path,
        worker: str,
        register: Callable[[object, str], object],
        checks: Checks,
        confirm: FreshRegressions | None,
    ) -> None:
        self.checks = checks
        self.confirm = confirm
        self.suspects = suspects
        self.instruments = instruments
        self._register = register
        self.tests = tests = MeasuredTests(
            settings, instruments, suspects, checks, self._activate
        )
        so_far = SoFar(tests.state, tests.measurement, f"{root}/")
        self.children = ChildrenWatch(tests.state, instruments.gaps)
        self._samples = settings.mem
        self.reports = OutcomeHooks(
            settings,
            suspects,
            tests,
            so_far,
            checks,
            sink,
            worker,
            register,
            confirm,
            self.children,
        )
        self.rerun = Rerun(tests, so_far, instruments, self._prepare_rerun)
        explainer = Explainer(settings, instruments, suspects, so_far, self.rerun)
        found = Found(tests, so_far, explainer, checks)
        activate = self.reports.activate
        self.phases = Phases(tests, checks, self.reports, self.children, found)
        self.bounded = BoundedTests(tests, self.children, instruments, activate)
        self.repeated = RepeatedTests(tests, self.phases, checks, self.children, activate)
        self._measures_setup = False
        if settings.measures_all or suspects:
            self.reports.activate()
        register(self._hooks(), "memguard-tests")

    def _hooks(self) -> object:
        """The hooks around a test: a fast path where the kernel helps."""
        mark, estimator = self.instruments.mark, self.instruments.slack_estimator
        if mark is None or estimator is None:
            return SlowHooks(self.phases)
        self.tests.has_fast_path = True
        if self.tests.keeps_all:  # all of them are measured in every phase
            return SlowHooks(self.phases)
        return FastHooks(
            self.tests, self.phases, self.instruments, mark, estimator, self.children
        )

    def _activate(self) -> None:
        """Have reports made: there is going to be something in them."""
        self.reports.activate()

    @property
    def measures_again(self) -> bool:
        """Whether this is a child in which a test is run once more."""
        return self.tests.runs_again

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Make ready for the first test; have stages reported to us meanwhile."""
        self.begin(session)
        before = set_current(self.tests)
        takes_recordings = watch_host.set_current(self.reports.watched.keep)
        try:
            return (yield)
        finally:
            set_current(before)
            watch_host.set_current(takes_recordings)

    def begin(self, session: pytest.Session) -> None:
        """Make ready for the next test, be it the first of the run or not."""
        if self._samples:
            self.children.sample()
        if self.tests.begin_session(session):
            self._measure_setup()

    def begin_in_child(self) -> None:
        """Go on in a forked child, in which no test has run: its level is its own."""
        instruments = self.instruments
        self.children.forget_sampler()
        if not instruments.resident.lost:
            instruments.clean_level = instruments.resident.level()
        self.tests.begin_anew()

    def _measure_setup(self) -> None:
        """Have setup measured where it has a budget, or something asks for what it uses."""
        if not self._measures_setup:
            self._measures_setup = True
            self._register(SetupHooks(self.tests, self.phases.act), "memguard-setup")

    def _prepare_rerun(self) -> None:
        """In a child: have setup measured, and all kept that is known at the end."""
        self._measure_setup()
        self.reports.activate()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report to the controller what could not be measured; remove what lies on disk."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            gaps = self.instruments.gaps
            output[GAPS] = [{"subject": gap.subject, "reason": gap.reason} for gap in gaps]
        detail = self.tests.measurement.detail
        if detail is not None:
            detail.abandon()
        self.children.close()
        self.instruments.close()
