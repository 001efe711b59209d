"""A process that is forked before the first test, and runs tests again in its children."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.measure.time_share import TimeShare
from pytest_memguard.plugin.names import MUST_NOT_RUN_AGAIN, must_not_run_again
from pytest_memguard.probes import own_children

if TYPE_CHECKING:
    from pytest_memguard.forking.fork_server import ForkServer
    from pytest_memguard.forking.isolation import ChildResult
    from pytest_memguard.model.results import Outcome
    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.fresh.rerun import Rerun
    from pytest_memguard.probes.code_pages import CodePages

_LEAST_SECONDS: Final = 60.0
_TIMES_THE_CALL: Final = 80
_ALWAYS_SECONDS: Final = 60.0
"""Seconds that measuring again may take in any process, however short its run is."""


def can_fork() -> bool:
    """Whether there can be such a process on this platform."""
    return hasattr(os, "fork")


class FreshProcess:
    """Forks the process, and asks it; what runs there is loaded when it is first asked.

    Args:
        settings: the settings of the run.
        rerun: returns what runs tests once more.
        prepare: makes ready for the first question, in the process that was forked.
    """

    def __init__(
        self,
        settings: Settings,
        rerun: Callable[[], Rerun],
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._rerun = rerun
        self._prepare = prepare
        self._items: Mapping[str, pytest.Item] = {}
        self._server: ForkServer | None = None
        self._is_prepared = False
        self._code: CodePages | None = None
        self._owner = 0
        share = settings.confirm_share
        where = settings.sources.get("confirm_share", "the default of mem_confirm_share")
        self._time = TimeShare(share, _ALWAYS_SECONDS)
        self._no_time = (
            f"there is no time left for it: second measurements may take {share or 0:.0%} of "
            f"the run's time ({where})"
        )

    @property
    def is_ready(self) -> bool:
        """Whether there is such a process, and this one may ask it."""
        mine = self._owner == os.getpid()
        return mine and self._server is not None and bool(self._server.pid)

    @property
    def has_time(self) -> bool:
        """Whether there is time left for another test."""
        return self._time.allows()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Fork once the tests are known, before the first of them."""
        if can_fork() and session.items and not session.config.getoption("collectonly"):
            from pytest_memguard.forking.fork_server import ForkServer
            from pytest_memguard.probes.code_pages import CodePages

            self._code = CodePages()
            self._items = {item.nodeid: item for item in session.items}
            self._server = ForkServer(self._answer, self._make_ready)
            self._owner = os.getpid()
            own_children.PIDS.add(self._server.pid)
        try:
            return (yield)
        finally:
            self.close()

    def begin_in_child(self) -> None:
        """Go on in a forked child, while the process that has forked it waits for it."""
        self._owner = os.getpid()

    def close(self) -> None:
        """Let the process end."""
        if self._server is not None and self.is_ready:
            own_children.PIDS.discard(self._server.pid)
            self._server.close()
        self._server = None

    def fixtures(self, nodeid: str) -> tuple[str, ...]:
        """Names of the fixtures that a test uses."""
        return tuple(getattr(self._items.get(nodeid), "fixturenames", ()))

    def must_not_run_again(self, nodeid: str) -> bool:
        """Whether a test may run only once."""
        return must_not_run_again(self._items.get(nodeid))

    def refusal(self, nodeid: str) -> str:
        """Why a suspect is not measured again; empty if it may be.

        Args:
            nodeid: the test.
        """
        if self.must_not_run_again(nodeid):
            return MUST_NOT_RUN_AGAIN
        return "" if self.has_time else self._no_time

    def ask(self, so_far: Outcome, seconds: float, **request: Any) -> ChildResult:
        """The answer of the process about a test.

        What was loaded here before the test's call is loaded there, too: the first to use a
        library pays for it, and that would be this test.

        Args:
            so_far: what was measured of the test here.
            seconds: what its call took here.
            request: what `answer` in `fresh_calls` takes.
        """
        from pytest_memguard.forking.isolation import ChildResult

        if self._server is None:
            return ChildResult(problem="there is no such process")
        if self.must_not_run_again(so_far.nodeid):
            return ChildResult(problem=MUST_NOT_RUN_AGAIN)
        loaded = list(sys.modules)[: len(sys.modules) - so_far.imports]
        request |= {"nodeid": so_far.nodeid, "loaded": loaded}
        start = Clock.seconds()
        answer = self._server.ask(request, max(_LEAST_SECONDS, _TIMES_THE_CALL * seconds))
        self._time.note(Clock.seconds() - start)
        return answer

    def note(self, seconds: float) -> None:
        """Note what another process has spent on second measurements of this run."""
        self._time.note(seconds)

    def _make_ready(self, request: dict[str, Any]) -> None:
        """In the process, before each question: do once what every child would do."""
        is_first, self._is_prepared = not self._is_prepared, True
        if is_first and self._prepare is not None:
            self._prepare()
        from pytest_memguard.plugin.fresh.fresh_calls import make_ready

        make_ready(self._rerun(), request.pop("loaded"), is_first=is_first)

    def _answer(self, request: dict[str, Any]) -> Any:
        """In a child of its own: run the test."""
        from pytest_memguard.plugin.fresh.fresh_calls import answer

        if self._code is not None:
            self._code.map_again()
        item = self._items[request.pop("nodeid")]
        others = [self._items[nodeid] for nodeid in request.pop("others", ())]
        return answer(self._rerun(), item, others=others, **request)
