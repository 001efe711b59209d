"""Stops the tests of a process when a signal says that the run uses too much memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from typing import Any, Final, NoReturn

import pytest

from pytest_memguard.plugin.pytest_internals.items import setup_nodes

SIGNAL: Final = getattr(signal, "SIGURG", None)
"""It ends no process, not even one that does not expect it, and programs hardly use it."""


class MemoryAbort(KeyboardInterrupt):
    """Raised in the test that runs when the run is stopped; ``except Exception`` lets it by."""

    __module__ = "builtins"  # pytest prints it in front of the name


class AbortStop:
    """Raises an exception in the running test when the signal arrives.

    Args:
        config: the configuration of pytest.
        reason: why the run is stopped, in one sentence.

    Attributes:
        stopped: whether the signal has arrived.
    """

    def __init__(self, config: pytest.Config, reason: str) -> None:
        self.stopped = False
        self._config = config
        self._reason = reason
        self._running: tuple[str, tuple[str, int | None, str]] | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Let the signal stop the collection."""
        return (yield from self._stoppable(session))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Let the signal stop the tests."""
        return (yield from self._stoppable(session))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        """Remember the test that runs; an isolated one does so in another process."""
        self._running = nodeid, location

    def pytest_runtest_logfinish(self) -> None:
        """Forget it."""
        self._running = None

    def _stoppable(self, session: pytest.Session) -> Generator[None, object, object]:
        if not can_be_signalled():
            return (yield)
        before = signal.signal(SIGNAL, self._on_signal)  # type: ignore[arg-type]
        try:
            result = yield
        except (KeyboardInterrupt, pytest.exit.Exception) as error:
            if not self.stopped:
                raise
            signal.signal(SIGNAL, signal.SIG_IGN)  # type: ignore[arg-type]
            self.stops()
            if isinstance(error, MemoryAbort):
                self._report(session, error)
            self._fail(session)
        finally:
            signal.signal(SIGNAL, before)  # type: ignore[arg-type]
        if self.stopped:
            self.stops()
            self._fail(session)
        return result

    def _on_signal(self, *_: object) -> None:
        if self.begin():
            self.stopped = True
            self.stop()

    def begin(self) -> bool:
        """Return whether the run is to stop: something else may have sent the signal."""
        return True

    def stop(self) -> None:
        """Stop the test that runs."""
        if self._config.getoption("usepdb", False):  # pytest would let the debugger have it
            raise pytest.exit.Exception(self._reason, returncode=1)
        raise MemoryAbort(self._reason)

    def stops(self) -> None:
        """Note that the tests are stopped."""

    def _report(self, session: pytest.Session, error: BaseException) -> None:
        """Report the test that was stopped as failed, at the line where it was."""
        item = next(
            (n for n in reversed(setup_nodes(session)) if isinstance(n, pytest.Item)), None
        )
        if item is None:
            self._report_elsewhere()
            return

        def again() -> NoReturn:
            raise error

        call: Any = pytest.CallInfo.from_call(again, "call")
        call.excinfo = pytest.ExceptionInfo.from_exception(_cut(error))
        report = pytest.TestReport.from_item_and_call(item, call)
        item.ihook.pytest_runtest_logreport(report=report)

    def _report_elsewhere(self) -> None:
        """Report a test as failed that runs in another process, if there is one."""
        if self._running is not None:
            nodeid, location = self._running
            report = pytest.TestReport(
                nodeid=nodeid,
                location=location,
                keywords={},
                outcome="failed",
                longrepr=f"MemoryAbort: {self._reason}",
                when="call",
            )
            self._config.hook.pytest_runtest_logreport(report=report)

    def _fail(self, session: pytest.Session) -> NoReturn:
        session.shouldfail = f"memguard: {self._reason}"
        raise session.Failed(session.shouldfail)


def _cut(error: BaseException) -> BaseException:
    """Let the traceback be that of the phase, up to where the signal has arrived."""
    handler = AbortStop._on_signal.__code__  # noqa: SLF001  of this module
    phase: Any = pytest.CallInfo.from_call
    begin = entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        if entry.tb_frame.f_code is phase.__func__.__code__:
            begin = entry
        if entry.tb_next.tb_frame.f_code is handler:
            entry.tb_next = None
        entry = entry.tb_next
    return error.with_traceback(begin)


def can_be_signalled() -> bool:
    """Return whether a signal can stop the tests of this process."""
    return SIGNAL is not None and threading.current_thread() is threading.main_thread()
