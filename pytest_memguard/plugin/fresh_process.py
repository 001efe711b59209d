"""A process that is forked before the first test, and runs tests again in its children."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.plugin.names import MUST_NOT_RUN_AGAIN, must_not_run_again
from pytest_memguard.probes import own_children

if TYPE_CHECKING:
    from pytest_memguard.isolation import ForkServer
    from pytest_memguard.judge.cold_and_warm import TwoCalls
    from pytest_memguard.model import Budget, Outcome
    from pytest_memguard.plugin.two_calls import Measure

_LEAST_SECONDS: Final = 60.0
_TIMES_THE_CALL: Final = 80


def can_fork() -> bool:
    """Whether there can be such a process on this platform."""
    return hasattr(os, "fork")


class FreshProcess:
    """Forks the process, and asks it; what runs there is loaded when it is first asked.

    Args:
        measure: runs a test once more where it is called.
        prepare: makes ready for that, once, in the process that was forked.
    """

    def __init__(self, measure: Measure, prepare: Callable[[], object] | None = None) -> None:
        self._measure = measure
        self._prepare = prepare
        self._items: Mapping[str, pytest.Item] = {}
        self._server: ForkServer | None = None
        self._owner = 0

    @property
    def is_ready(self) -> bool:
        """Whether there is such a process, and this one has forked it."""
        mine = self._owner == os.getpid()
        return mine and self._server is not None and bool(self._server.pid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Fork once the tests are known, before the first of them."""
        if can_fork() and session.items and not session.config.getoption("collectonly"):
            from pytest_memguard.isolation import ForkServer

            self._items = {item.nodeid: item for item in session.items}
            self._server = ForkServer(self._answer, self._prepare)
            self._owner = os.getpid()
            own_children.PIDS.add(self._server.pid)
        try:
            return (yield)
        finally:
            self.close()

    def close(self) -> None:
        """Let the process end."""
        if self._server is not None and self.is_ready:
            own_children.PIDS.discard(self._server.pid)
            self._server.close()
        self._server = None

    def calls(
        self, budget: Budget, so_far: Outcome, seconds: float, may_track: Callable[[], bool]
    ) -> tuple[TwoCalls | None, str]:
        """What a test's calls use there, where a budget is on them.

        Args:
            budget: on the call or one of its stages.
            so_far: what was measured of the test.
            seconds: what its call took.
            may_track: whether memray may run there, where the mark is not exact enough.

        Returns:
            The peaks, the second one only if the first exceeds the budget, and why there are
            none.
        """
        calls, problem = self._ask(budget, so_far, seconds)
        cold = calls.cold if calls is not None else None
        if cold is not None and cold.value <= budget.limit < cold.high and may_track():
            exact, _ = self._ask(budget, so_far, seconds, track=True)
            calls = exact or calls
        return calls, problem

    def _ask(
        self, budget: Budget, so_far: Outcome, seconds: float, *, track: bool = False
    ) -> tuple[TwoCalls | None, str]:
        """Have a test called; what was loaded here before its call is loaded there, too."""
        from pytest_memguard.plugin.two_calls import calls_of

        if self._server is None:
            return None, "there is no such process"
        if must_not_run_again(self._items.get(so_far.nodeid)):
            return None, MUST_NOT_RUN_AGAIN
        request = {
            "nodeid": so_far.nodeid,
            "metric": budget.metric,
            "enough": budget.limit,
            "track": track,
            "loaded": list(sys.modules)[: len(sys.modules) - so_far.imports],
        }
        timeout = max(_LEAST_SECONDS, _TIMES_THE_CALL * seconds)
        return calls_of(self._server.ask(request, timeout), budget)

    def _answer(self, request: Mapping[str, Any]) -> Any:
        """In a child of its own: call the test."""
        from pytest_memguard.plugin.two_calls import call_twice

        return call_twice(self._measure, self._items[request["nodeid"]], request)
