"""Entry point: what pytest loads in every run; each hook hands over at once.

PYTEST_DONT_REWRITE: a run in this process may load it a second time.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

# by module: pytest looks at each name that a plugin has, in every run
from pytest_memguard.plugin import hookspecs, names, options

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.collector import Collector
    from pytest_memguard.plugin.fixture import MemGuard


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks known by which other plugins add probes, checks and renderers."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare flags and ini keys."""
    options.declare(parser, pluginmanager)


def pytest_configure(config: pytest.Config) -> None:
    """Make markers known; set up the session if a setting asks for it."""
    for line in names.MARKER_LINES:
        config.addinivalue_line("markers", line)
    if names.is_extended(config):
        from pytest_memguard.plugin.extensions import load_checks

        load_checks(config)
    settings = options.settings_of(config) if options.given(config) else None
    flight = "workers" if settings is None else settings.flight_record
    if flight != "off" and (settings is None or not settings.off):
        aborts = settings is not None and settings.abort_at is not None
        _begin_flight(config, alone=flight == "on" or aborts)
    if settings is not None and settings.abort_at is not None and not settings.off:
        from pytest_memguard.plugin.lost.abort_watch import begin

        begin(config, settings)
    if settings is not None and settings.reruns_killed and not settings.off:
        from pytest_memguard.plugin.lost.rerun_killed import begin_reruns

        begin_reruns(config, settings)
    if settings is not None and settings.alert and not settings.off:
        from pytest_memguard.plugin.lost.alerts import begin_alerts

        begin_alerts(config, settings)
    if settings is not None and settings.asked_for:
        _start(config, settings)
    elif settings is None or not settings.off:
        config.stash[options.ON_DEMAND] = OnDemand(config)
    elif names.STAGES_MODULE in sys.modules:
        config.pluginmanager.register(Silence(), "memguard-silence")


def _begin_flight(config: pytest.Config, *, alone: bool) -> None:
    """Begin a flight record where there is to be one, and look for those of lost runs.

    Args:
        config: the configuration of pytest.
        alone: whether a run without workers has one, too.
    """
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        path = worker_input.get("memguard_flight_record")
        if path is not None:
            from pytest_memguard.plugin.lost.flight_log import record_worker

            record_worker(config, path, worker_input["workerid"])
        return
    parents = [place for place in options.flight_places(config) if place.is_dir()]
    if parents:
        from pytest_memguard.plugin.lost.earlier_flights import EarlierFlights

        config.pluginmanager.register(EarlierFlights(parents), "memguard-earlier-flights")
    if alone and options.runs_tests(config):
        from pytest_memguard.plugin.lost.flight_log import record_alone

        record_alone(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist its flight record, and wait for what it reports."""
    from pytest_memguard.plugin.lost.flight_control import control_of

    control = control_of(node.config)
    if control is not None:
        control.prepare(node)
    on_demand = node.config.stash.get(options.ON_DEMAND, None)
    if on_demand is not None:
        on_demand.wait_for_workers()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """Start no more workers than fit into the memory, if tests share that."""
    cores = yield
    settings = options.settings_of(config) if options.given(config) else None
    if settings is None or settings.off or not settings.runs_parallel:
        return cores
    from pytest_memguard.plugin.parallel.auto_workers import number_of_workers

    return number_of_workers(config, cores)


def _start(config: pytest.Config, settings: Settings) -> None:
    """Set up the session, or what does so once a test is not clearly within the one budget."""
    if settings.asks_for_one_budget and not names.is_extended(config):
        from pytest_memguard.plugin.ceiling import begin

        if begin(config, settings):
            return
    from pytest_memguard.plugin.session import start

    start(config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Refuse to go on when an xdist worker found markers that make no sense.

    Raises:
        pytest.UsageError: with a line for each.
    """
    on_demand = node.config.stash.get(options.ON_DEMAND, None)
    if on_demand is not None:
        on_demand.take(node)
    problems = getattr(node, "workeroutput", {}).get(options.PROBLEMS)
    if problems:
        raise options.usage_error(problems)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for a marker or fixture of ours."""
    on_demand = session.config.stash.get(options.ON_DEMAND, None)
    if on_demand is not None:
        on_demand.find(session)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look for markers of ours that tests got while they ran."""
    on_demand = session.config.stash.get(options.ON_DEMAND, None)
    if on_demand is not None:
        on_demand.find_late(session)


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that nothing was measured for them."""
    on_demand = terminalreporter.config.stash.get(options.ON_DEMAND, None)
    if on_demand is not None:
        on_demand.write_late(terminalreporter)


class OnDemand:
    """Sets up the session once a marker, a fixture or another process asks for it.

    It is no plugin: pytest looks for hooks and fixtures among all names of each, in every run.

    Args:
        config: the configuration of pytest.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._waits = False
        self._is_idle = True
        self._late: list[str] = []

    def find(self, session: pytest.Session) -> None:
        """Look for a marker or fixture of ours.

        Raises:
            pytest.UsageError: if a marker makes no sense, whether this run needs it or not.
        """
        found = names.names_in_use(session.items)
        if found - {names.REGRESSION_MARKER, names.ONCE_MARKER} or names.has_checks(
            self._config
        ):
            self._start()
            from pytest_memguard.plugin.planning import plan_items

            plan_items(session)
        elif found:
            from pytest_memguard.plugin.checks_of_run import marker_problems

            problems = marker_problems(session.items)
            if problems:
                options.refuse(session, problems)

    def wait_for_workers(self) -> None:
        """Under xdist the first report with our numbers asks, because only workers collect."""
        if not self._waits:
            from pytest_memguard.plugin.on_report import OnReport

            self._config.pluginmanager.register(OnReport(self._start), "memguard-on-report")
            self._waits = True

    def take(self, node: object) -> None:
        """Take what an xdist worker could not measure: late markers, and gaps."""
        output = getattr(node, "workeroutput", {})
        self._late += output.get(names.LATE_MARKERS, [])
        if self._is_idle and (output.get(options.GAPS) or output.get(options.EXTRA)):
            collector = self._start()
            if collector is not None:
                collector.pytest_testnodedown(node)

    def find_late(self, session: pytest.Session) -> None:
        """Look for markers of ours that tests got while they ran."""
        if self._is_idle:
            output = getattr(self._config, "workeroutput", None)
            self._late += names.late_markers(session.items)
            if output is not None:
                output[names.LATE_MARKERS] = self._late

    def write_late(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say that nothing was measured for them."""
        if self._late:
            from pytest_memguard.plugin.late_markers import write_unheeded

            write_unheeded(terminalreporter, self._late)

    def start_reporting(self) -> None:
        """Set up the session for something that no test has asked for."""
        if self._is_idle:
            self._start()

    def _start(self) -> Collector | None:
        from pytest_memguard.plugin.session import start

        self._is_idle = False
        return start(self._config)


class Silence:
    """Under ``--no-mem``, keeps stages from a session around this one in the same process."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Run a test whose stages are not measured."""
        from pytest_memguard.measure.stage_host import set_current

        before = set_current(None)
        try:
            return (yield)
        finally:
            set_current(before)


@pytest.fixture
def memguard(request: pytest.FixtureRequest) -> Iterator[MemGuard]:
    """Measure parts of the test: ``stage(name)``, ``measure()`` and ``snapshot()``."""
    from pytest_memguard.plugin.fixture import make

    guard = make(request)
    yield guard
    guard.close()
