"""One budget for every test, where the process has never held as much as that.

What a test uses above its start is never more than all that the process has held at once, and
the kernel keeps a mark of that. As long as it lies below the budget, no test has exceeded
that. The mark is not reset, and nothing else is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.judge.slack_thresholds import LARGEST_TIGHT
from pytest_memguard.measure.stage_host import set_current
from pytest_memguard.plugin.ceiling_calls import Calls, SetupEnd
from pytest_memguard.plugin.header import header
from pytest_memguard.plugin.keys import START
from pytest_memguard.plugin.names import has_checks, names_in_use
from pytest_memguard.plugin.options import EXTRA, GAPS, runs_tests
from pytest_memguard.plugin.property_readers import properties_are_read
from pytest_memguard.probes.lifetime_peak import LifetimePeak

if TYPE_CHECKING:
    from pytest_memguard.measure.stage_log import StageLog
    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.collector import Collector
    from pytest_memguard.plugin.items import ItemHooks


def begin(config: pytest.Config, settings: Settings) -> bool:
    """Watch the mark in place of measuring, if that is enough.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run; they ask for one budget and nothing else.

    Returns:
        Whether it is; if not, tests have to be measured.
    """
    if sys.platform != "linux" or _is_more_asked_for(config):
        return False
    mark = None
    if runs_tests(config):
        try:
            mark = LifetimePeak()
        except Unmeasurable:
            return False
    ceiling = Ceiling(config, settings, mark)
    config.stash[START] = ceiling.start_in_test
    config.pluginmanager.register(ceiling, "memguard-ceiling")
    return True


def _is_more_asked_for(config: pytest.Config) -> bool:
    """Whether numbers are written down, or tests run in processes that are not known here."""
    return any(config.getoption(name, None) for name in ("xmlpath", "forked"))


class Ceiling:
    """Sets up the session once a test, or a name that the suite uses, calls for it.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        mark: the high-water mark of the process; ``None`` in one that runs no tests.

    Attributes:
        started: whether the session is set up.
    """

    wants_stages = True

    def __init__(
        self, config: pytest.Config, settings: Settings, mark: LifetimePeak | None
    ) -> None:
        self._config = config
        self._settings = settings
        self._mark = mark
        self._calls: Calls | None = None
        self._session: pytest.Session | None = None
        self._collector: Collector | None = None
        self._waits = self.started = False

    def pytest_report_header(self) -> list[str]:
        """Name the metric and the budget."""
        return header(self._settings, ())

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self) -> None:
        """Under xdist, wait for the first report of a worker with something to say."""
        if not self._waits:
            from pytest_memguard.plugin.on_report import OnReport

            waiting = OnReport(self._start)
            self._config.pluginmanager.register(waiting, "memguard-on-report")
            self._waits = True

    def start_reporting(self) -> None:
        """Set up the session for something that no test has asked for."""
        if not self.started:
            self._start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Report what a worker could not measure."""
        output = getattr(node, "workeroutput", {})
        if not self.started and (output.get(GAPS) or output.get(EXTRA)):
            collector = self._start()
            if collector is not None:
                collector.pytest_testnodedown(node)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Have tests measured where the suite or another plugin calls for it."""
        self._session = session
        if self._mark is None:
            return
        if (
            names_in_use(session.items)
            or properties_are_read(self._config.pluginmanager)
            or has_checks(self._config)
        ):
            self._start_measuring(session)
            return
        self._fork_early(session)
        self._calls = Calls(self, self._mark, self._settings, self._suspects(session))
        self._config.pluginmanager.register(self._calls, "memguard-ceiling-calls")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Let stages call for the session, if a test loads them only now."""
        if self._calls is None:
            return (yield)
        before = set_current(self)
        try:
            return (yield)
        finally:
            set_current(before)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Let the mark go."""
        if self._mark is not None:
            self._mark.close()

    def _fork_early(self, session: pytest.Session) -> None:
        """Have a process forked in which tests can be measured again, if the budget is small.

        When a test calls for the session, others have run.
        """
        settings = self._settings
        if settings.confirm and settings.budget <= LARGEST_TIGHT:
            from pytest_memguard.plugin.fresh.forked_process import process_for

            process_for(self._config, lambda: self._start_measuring(session))

    def _suspects(self, session: pytest.Session) -> AbstractSet[str]:
        """The tests that are to be traced, since their last run left a question."""
        if self._settings.explain != "next":
            return frozenset()
        from pytest_memguard.plugin.suspects import TRACED_LINE, Suspects, TracedLine

        suspects = Suspects(getattr(self._config, "cache", None))
        suspects.choose(item.nodeid for item in session.items)
        if suspects.traced:
            self._config.pluginmanager.register(TracedLine(suspects), TRACED_LINE)
        return suspects.traced

    def _start(self) -> Collector | None:
        from pytest_memguard.plugin.session import start

        self.started = True
        self._collector = start(self._config)
        return self._collector

    def _start_measuring(self, session: pytest.Session) -> ItemHooks:
        """Set up the session in a process that runs tests."""
        from pytest_memguard.plugin.planning import plan_items

        if self._calls is not None:
            self._config.pluginmanager.unregister(self._calls)
        if self._mark is not None:
            self._mark.close()
        self._start()
        plan_items(session)
        return self.items

    @property
    def items(self) -> ItemHooks:
        """What measures tests, once the session is set up."""
        from pytest_memguard.plugin.keys import ITEMS

        return self._config.stash[ITEMS]

    def start_late(self, session: pytest.Session) -> ItemHooks:
        """Set up the session while tests run."""
        items = self._start_measuring(session)
        items.begin(session)
        set_current(items.tests)
        return items

    def start_in_test(self) -> None:
        """Set up the session for what a test or a fixture asks of it."""
        if self.started or self._session is None or self._calls is None:
            return
        if self._calls.item is not None:
            self._calls.hand_over()
            return
        items, plugins = self.start_late(self._session), self._config.pluginmanager
        items.bounded.begin_in_fixture(self._calls.ended)
        plugins.register(SetupEnd(items, plugins.unregister), "memguard-setup-end")

    def stage_log(self) -> StageLog | None:
        """The log of a stage that is about to begin."""
        self.start_in_test()
        return self.items.tests.stage_log() if self.started else None
