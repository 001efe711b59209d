"""Runs isolated tests in a child, and sends what is reported to the process of the run."""

from __future__ import annotations

import faulthandler
import gc
import os
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping
from typing import IO, TYPE_CHECKING, Final, Literal, NoReturn

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.forking.child_channel import Channel, Message
from pytest_memguard.plugin.isolating.child_coverage import measured_here
from pytest_memguard.plugin.keys import FRESH, ITEMS, LOADED, PROCESS
from pytest_memguard.plugin.plain_values import plain, warning_to_plain
from pytest_memguard.plugin.pytest_internals.isolated import leave_reports_to, tear_down
from pytest_memguard.plugin.pytest_internals.plugins import failed_subtests
from pytest_memguard.probes.code_pages import CodePages
from pytest_memguard.probes.ended_children import own_memory
from pytest_memguard.probes.resident import resident_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_memguard.checks.isolation.plan import IsolationPlan

_REPORTING: Final = frozenset(
    {
        "pytest_runtest_logstart",
        "pytest_runtest_logreport",
        "pytest_runtest_logfinish",
        "pytest_warning_recorded",
    }
)
_KEPT: Final = ("session", "memguard-leak-check")
"""Plugins for which it matters in the child what is reported there."""


class IsolatedChild:
    """The hooks and the loop of a child.

    Args:
        session: the session of pytest; its tests are known.
        stack: a file for the Python stack of a child that dies.
        plans: of the tests that are isolated.
    """

    def __init__(
        self,
        session: pytest.Session,
        stack: IO[bytes],
        plans: Mapping[pytest.Item, IsolationPlan],
    ) -> None:
        self._session = session
        self._config = session.config
        self._items: Sequence[pytest.Item] = tuple(session.items)
        self._stack = stack
        self._plans = plans
        self._most = self._start = 0
        self._send: Callable[[Message], None] = _send_nothing
        self._pid = 0
        self._code = CodePages()
        self._item: pytest.Item | None = None
        try:
            self._level: Callable[[], int] | None = resident_reader()
        except Unmeasurable:
            self._level = None

    def prepare(self) -> None:
        """In the server: do once what every child needs."""
        manager = self._config.pluginmanager
        manager.register(self, "memguard-isolated-child")
        kept = [manager.get_plugin(name) for name in _KEPT]
        leave_reports_to(self._config, _REPORTING, [self, *kept])
        gc.collect()
        gc.freeze()  # or collections in the children would copy all that is there

    def run(self, channel: Channel) -> None:
        """In a child: run tests, one after the other, until there are no more."""
        self._pid = os.getpid()
        self._code.map_again()
        faulthandler.enable(self._stack)
        self._send = channel.send
        items = self._config.stash[ITEMS]
        items.begin_in_child()
        if (process := self._config.stash.get(PROCESS, None)) is not None:
            process.begin_in_child()
        while message := channel.receive():
            kind, *arguments = message
            if kind == "run":
                self._run(*arguments)
            else:
                self._end_in_the_middle()
        items.instruments.folder.close()

    def _run(self, number: int, following: int) -> None:
        """Run a test.

        Args:
            number: the place of the test among all.
            following: that of the next one for this process; -1 if there is none.
        """
        item = self._item = self._items[number]
        level = self._level() if self._level is not None else None
        limit = self._plans[item].limit
        self._start = level or 0
        self._most = self._start + limit if level is not None and limit else 0
        self._send(("begun", level))
        nextitem = self._items[following] if following >= 0 else None
        end: Message = ("done",)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        except pytest.exit.Exception as stop:
            end = ("exit", stop.msg, stop.returncode)
        except KeyboardInterrupt:
            tear_down(self._session, None)
            end = ("interrupted",)
        except BaseException:  # noqa: BLE001  a hook may raise anything
            end = ("internal", traceback.format_exc())
        if os.getpid() != self._pid:
            os._exit(1)  # a test has forked, and its child went on
        if following < 0:
            self._send_coverage()
        self._send_second_measurements()
        session = self._session
        if session.shouldfail or session.shouldstop:
            self._send(("stop", plain(session.shouldfail), plain(session.shouldstop)))
        self._send(end)

    def _send_second_measurements(self) -> None:
        """Send what was measured again for the test, in the process that all tests share."""
        confirm = self._config.stash[ITEMS].confirm
        if confirm is not None and confirm.count:
            self._send(("measured again", *confirm.take_counts()))
        if (loaded := self._config.stash.get(LOADED, None)) is not None:
            self._send(("loaded", sorted(loaded.names())))
        for test in self._config.stash[FRESH].take_tests():
            self._send(("judged again", *test.row()))

    def _end_in_the_middle(self) -> None:
        """Tear down what a test has left to others that are not going to run."""
        call = tear_down(self._session, None)
        if call is not None and call.excinfo is not None:
            self._send(("not torn down", call.excinfo.exconly()))
        self._send_coverage()

    def _send_coverage(self) -> None:
        data = measured_here()
        if data is not None:
            self._send(("coverage", data))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Hold the setup to the limit."""
        return (yield from self._hold())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Hold the call to the limit."""
        return (yield from self._hold())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Hold the teardown to the limit."""
        return (yield from self._hold())

    def _hold(self) -> Generator[None, object, object]:
        """End the process after a phase above the limit that was too short to be noticed."""
        try:
            return (yield)
        finally:
            if self._most and os.getpid() == self._pid:
                used, _ = own_memory()
                if used > self._most:
                    self._send(("over limit", used - self._start))
                    os._exit(1)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report."""
        if os.getpid() != self._pid:
            return
        config, item = self._config, self._item
        if report.when == "call" and item is not None and (failed := failed_subtests(item)):
            self._send(("failed subtests", failed))
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        try:
            self._send(("report", data))
        except ValueError:
            self._send(("report", plain(data)))

    @pytest.hookimpl
    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: Literal["config", "collect", "runtest"],
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Send a warning."""
        if os.getpid() == self._pid:
            data = warning_to_plain(warning_message)
            self._send(("warning", data, when, nodeid, location))

    def pytest_enter_pdb(self) -> NoReturn:
        """Refuse to open a debugger, which has no terminal here."""
        pytest.fail("an isolated test cannot open a debugger: run it without --mem-isolate")


def _send_nothing(_: Message) -> None:
    """Be in the server, where nothing is reported."""
