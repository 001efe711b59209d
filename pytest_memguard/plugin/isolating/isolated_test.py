"""Follows one isolated test: reports what its process reports, and stops it at its limits."""

from __future__ import annotations

import faulthandler
import os
from typing import IO, TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.forking.child_channel import Message
from pytest_memguard.forking.child_server import Child, Ended
from pytest_memguard.plugin.fresh.fresh_budgets import MeasuredAgain, Reason
from pytest_memguard.plugin.isolating.isolated_death import IsolatedProgress
from pytest_memguard.plugin.isolating.limit_watch import LimitWatch
from pytest_memguard.plugin.keys import FRESH, ITEMS, LOADED
from pytest_memguard.plugin.plain_values import warning_from_plain
from pytest_memguard.plugin.pytest_internals.isolated import forget_unread, share_memory
from pytest_memguard.plugin.pytest_internals.plugins import note_failed_subtests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_memguard.checks.isolation.plan import IsolationPlan
    from pytest_memguard.plugin.isolating.child_coverage import ChildCoverage


class IsolatedTest:
    """One test that runs in a child.

    Args:
        item: the test.
        plan: what it may use.
        stack: the file to which its process writes its Python stack if it dies.
        coverage: takes what coverage.py has measured there.

    Attributes:
        begun: whether its process has begun with it.
        progress: how far it has come.
    """

    def __init__(
        self,
        item: pytest.Item,
        plan: IsolationPlan,
        stack: IO[bytes],
        coverage: ChildCoverage,
    ) -> None:
        self._item = item
        self._config = item.config
        self._plan = plan
        self._stack = stack
        self._coverage = coverage
        self.begun = False
        self.progress = IsolatedProgress()
        self._end: Message = ()
        self._stops: list[Message] = []

    def follow(self, child: Child) -> Ended | None:
        """Report what the test reports, until it is over.

        Args:
            child: has been asked to run it.

        Returns:
            How its process has died; ``None`` if it has not.

        Raises:
            ServerLost: if the process that forks children has gone.
        """
        spare_this_process(self._item)
        os.ftruncate(self._stack.fileno(), 0)
        progress = self.progress
        progress.start = progress.phase_start = Clock.seconds()
        watch = LimitWatch(child, self._plan, progress.start)
        while True:
            message = child.receive(watch.seconds())
            if message is None:
                watch.act(progress.level)
            elif isinstance(message, Ended):
                progress.seen = max(progress.seen, watch.seen)
                progress.stopped = progress.stopped or watch.stopped
                return message
            elif self._take(message):
                return None

    def stop_if_asked(self) -> None:
        """Stop the run if the test has asked for that.

        Raises:
            KeyboardInterrupt: if it was interrupted.
            pytest.exit.Exception: if it has called ``pytest.exit``.
            RuntimeError: if a hook has raised.
        """
        session = self._item.session
        for _, fails, stops in self._stops:
            session.shouldfail = session.shouldfail or fails
            session.shouldstop = session.shouldstop or stops
        kind, *arguments = self._end or ("done",)
        if kind == "exit":
            raise pytest.exit.Exception(*arguments)
        if kind == "interrupted":
            raise KeyboardInterrupt
        if kind == "internal":
            _raise_internal(arguments[0])

    def _take(self, message: Message) -> bool:
        """Act on a message; return whether it is the last one."""
        kind, *arguments = message
        acts: Mapping[str, Callable[..., None]] = {
            "report": self._report,
            "warning": self._warn,
            "measured again": self._count_again,
            "judged again": self._judge_again,
            "loaded": self._add_loaded,
            "coverage": self._coverage.take,
        }
        if kind in acts:
            acts[kind](*arguments)
        elif kind == "begun":
            self.begun, self.progress.level = True, arguments[0]
        elif kind == "over limit":
            self.progress.seen, self.progress.stopped = arguments[0], "limit"
        elif kind == "failed subtests":
            note_failed_subtests(self._item, *arguments)
        elif kind == "stop":
            self._stops.append(message)
        else:
            self._end = message
            return True
        return False

    def _report(self, data: Any) -> None:
        hook = self._config.hook
        report = hook.pytest_report_from_serializable(config=self._config, data=data)
        item, progress = self._item, self.progress
        share_memory(report, item, progress.reports[0] if progress.reports else None)
        progress.reports.append(report)
        progress.phase_start = Clock.seconds()
        item.ihook.pytest_runtest_logreport(report=report)
        forget_unread(self._config, report)

    def _warn(self, data: Any, when: str, nodeid: str, location: Any) -> None:
        self._config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": warning_from_plain(data),
                "when": when,
                "nodeid": nodeid,
                "location": location,
            }
        )

    def _count_again(self, count: int, seconds: float) -> None:
        confirm = self._config.stash[ITEMS].confirm
        if confirm is not None:
            confirm.add_counts(count, seconds)

    def _add_loaded(self, libraries: Sequence[str]) -> None:
        self._config.stash[LOADED].add(libraries)

    def _judge_again(
        self, nodeid: str, seconds: float, avoided_by: int, reason: Reason
    ) -> None:
        test = MeasuredAgain(
            nodeid=nodeid, seconds=seconds, avoided_by=avoided_by, reason=reason
        )
        self._config.stash[FRESH].add(test)


def spare_this_process(item: pytest.Item) -> None:
    """Let only the process of the test be stopped by other plugins that limit its time."""
    cancel = getattr(item, "cancel_timeout", None)  # pytest-timeout
    if callable(cancel):
        cancel()
    faulthandler.cancel_dump_traceback_later()


def _raise_internal(text: str) -> NoReturn:
    msg = f"a hook raised in the process of an isolated test:\n{text}"
    raise RuntimeError(msg)
