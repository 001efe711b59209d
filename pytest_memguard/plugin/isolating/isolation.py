"""Runs tests in children of a process that was forked before the first of them."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Final

import pytest

from pytest_memguard.checks.isolation.plan import IsolationPlan, IsolationPlanner
from pytest_memguard.forking.child_server import Child, ChildServer, Ended, ServerLost
from pytest_memguard.forking.isolation import can_fork
from pytest_memguard.judge.lost_worker import cause_of
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.isolating.child_coverage import ChildCoverage
from pytest_memguard.plugin.isolating.isolated_child import IsolatedChild
from pytest_memguard.plugin.isolating.isolated_death import IsolatedDeath, ending_of
from pytest_memguard.plugin.isolating.isolated_test import IsolatedTest
from pytest_memguard.plugin.isolating.limit_watch import why_no_limit
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.plugin.pytest_internals.isolated import prepare_temp_folder, tear_down
from pytest_memguard.probes import own_children
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.report.post_mortem import cause_text

if TYPE_CHECKING:
    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.items import ItemHooks

SUBJECT: Final = "isolated tests"
_PATIENCE_SECONDS: Final = 10.0


def plan_isolation(
    session: pytest.Session, settings: Settings, problems: list[str]
) -> Mapping[pytest.Item, IsolationPlan]:
    """How each test is isolated that is.

    Args:
        session: the session of pytest; its tests are known.
        settings: the settings of the run.
        problems: takes what is wrong with markers.
    """
    planner = IsolationPlanner(settings.isolate)
    planned = ((item, planner.plan(MarkedItem(item), problems)) for item in session.items)
    return {item: plan for item, plan in planned if plan is not None}


def begin(
    session: pytest.Session, items: ItemHooks, plans: Mapping[pytest.Item, IsolationPlan]
) -> None:
    """Have tests isolated, inside all hooks that prepare for the first of them.

    Args:
        session: the session of pytest; its tests are known.
        items: measures tests.
        plans: of those that are isolated.
    """
    config = session.config
    reason = _why_not(config)
    if reason:
        items.instruments.gaps.append(Gap(subject=SUBJECT, reason=reason))
    elif not config.getoption("collectonly"):
        if any(plan.limit for plan in plans.values()) and (reason := why_no_limit()):
            items.instruments.gaps.append(Gap(subject="limits of mem_isolate", reason=reason))
        config.pluginmanager.register(Isolation(session, plans, items), "memguard-isolation")


def _why_not(config: pytest.Config) -> str:
    """Why no test can be isolated; empty if they can."""
    here = "tests run in this process, without the limits of mem_isolate"
    if not can_fork():
        return f"this platform has no fork; {here}"
    for name, flag in (("usepdb", "--pdb"), ("trace", "--trace")):
        if config.getoption(name, None):
            return f"{flag} needs the terminal; {here}"
    return ""


class Isolation:
    """Has isolated tests run in children, and reports what they report.

    Args:
        session: the session of pytest; its tests are known.
        plans: of the tests that are isolated.
        items: measures tests.
    """

    def __init__(
        self,
        session: pytest.Session,
        plans: Mapping[pytest.Item, IsolationPlan],
        items: ItemHooks,
    ) -> None:
        self._session = session
        self._plans = plans
        self._gaps = items.instruments.gaps
        self._latest = ""
        self._numbers = {item: number for number, item in enumerate(session.items)}
        self._stack = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115  as long as the run
        self._side = IsolatedChild(session, self._stack, plans)
        self._server: ChildServer | None = None
        self._child: Child | None = None
        self._coverage = ChildCoverage()
        self._kills = read_oom_counter().kills

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Fork once everything is ready for the first test."""
        prepare_temp_folder(self._session.config)
        self._server = ChildServer(self._side.run, self._side.prepare)
        own_children.PIDS.add(self._server.pid)
        try:
            return (yield)
        finally:
            try:
                self._end_child(tear_down_first=True)  # -x stops in the middle of a module
                self._coverage.add_to_run()
            finally:
                self._close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run an isolated test in a child."""
        plan = self._plans.get(item)
        if plan is None or self._server is None:
            return None
        hooks = item.ihook
        hooks.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        try:
            self._run(item, nextitem, plan, self._server)
        except ServerLost as error:
            msg = f"memguard: {error}"
            raise pytest.exit.Exception(msg) from error
        hooks.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _run(
        self,
        item: pytest.Item,
        nextitem: pytest.Item | None,
        plan: IsolationPlan,
        server: ChildServer,
    ) -> None:
        test = IsolatedTest(item, plan, self._stack, self._coverage)
        is_last = nextitem is None or self._place(nextitem) != self._place(item)
        following = -1 if nextitem is None or is_last else self._numbers.get(nextitem, -1)
        try:
            while True:
                is_new = self._child is None
                child = self._child = self._child or server.start()
                child.send(("run", self._numbers[item], following))
                ended = test.follow(child)
                if ended is None or test.begun or is_new:
                    break
                self._end_child()  # it died after the test before; this one needs another
        except BaseException:
            self._interrupt()
            raise
        self._latest = item.nodeid
        if ended is not None:
            death = IsolatedDeath(item, plan, test.progress, self._kills, self._stack)
            death.report(ended)
        if ended is not None or is_last:
            self._end_child(has_died=ended is not None)
        self._tear_down_here(item, nextitem)
        test.stop_if_asked()

    def _place(self, item: pytest.Item) -> object:
        """What tests have in common that run in the same child."""
        plan = self._plans.get(item)
        if plan is None or plan.alone:
            return item
        return item.getparent(pytest.Module) or item.parent

    def _tear_down_here(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Tear down what tests that are not isolated have set up and need no longer."""
        call = tear_down(self._session, nextitem)
        if call is not None and call.excinfo is not None:
            report = item.ihook.pytest_runtest_makereport(item=item, call=call)
            item.ihook.pytest_runtest_logreport(report=report)

    def _end_child(self, *, has_died: bool = False, tear_down_first: bool = False) -> None:
        """Let the child end.

        Args:
            has_died: whether it has, which was reported.
            tear_down_first: whether it has to tear down what its last test needed no longer.
        """
        child, self._child = self._child, None
        if child is None:
            return
        if tear_down_first:
            child.send(("tear down",))
        child.channel.finish()
        while message := child.receive(_PATIENCE_SECONDS):
            if isinstance(message, Ended):
                break
            kind, *arguments = message
            if kind == "coverage":
                self._coverage.take(arguments[0])
            elif kind == "not torn down":
                self._note(f"what {self._latest} has set up was not torn down: {arguments[0]}")
        if not has_died:
            self._note_end(child.ended)
        child.close()

    def _note_end(self, ended: Ended | None) -> None:
        """Say so if a process died when its tests were over."""
        if ended is not None and ended.status:
            ending = ending_of(ended, self._kills)
            how = cause_text(cause_of(ending), ending)
            self._note(f"the process of {self._latest} {how} when the test was over")

    def _note(self, reason: str) -> None:
        self._gaps.append(Gap(subject=SUBJECT, reason=reason))

    def _interrupt(self) -> None:
        """End the child in the middle of a test, which may tear down what it has set up."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ServerLost, KeyboardInterrupt):
            child.kill(signal.SIGINT)
            child.channel.finish()
            while not isinstance(child.receive(_PATIENCE_SECONDS), Ended | None):
                pass
        child.close()

    def _close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()
        if self._server is not None:
            own_children.PIDS.discard(self._server.pid)
            self._server.close()
            self._server = None
        self._stack.close()
