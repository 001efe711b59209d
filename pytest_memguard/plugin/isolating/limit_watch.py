"""Watches the process of an isolated test, and stops it at its timeout or limit."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from pytest_memguard.clock import Clock
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.probes.tree_sampler import tree_of

if TYPE_CHECKING:
    from pytest_memguard.checks.isolation.plan import IsolationPlan
    from pytest_memguard.forking.child_server import Child
    from pytest_memguard.model.deaths import Stopped
    from pytest_memguard.probes.tree_marks import Tree

_INTERVAL_SECONDS: Final = 0.01
_GRACE_SECONDS: Final = 1.0


class LimitWatch:
    """Stops a test at its limits.

    Args:
        child: the process of the test.
        plan: what it may use.
        start: seconds when it began.

    Attributes:
        seen: most bytes that it was seen to use above its start.
        stopped: why it was stopped; ``None`` if it was not.
    """

    def __init__(self, child: Child, plan: IsolationPlan, start: float) -> None:
        self._child = child
        self._limit = plan.limit
        self._deadline = start + plan.timeout if plan.timeout else None
        self._kill_at: float | None = None
        self._tree: Tree | None = None
        self.seen = 0
        self.stopped: Stopped | None = None

    def seconds(self) -> float | None:
        """How long to wait for the next message at most."""
        now = Clock.seconds()
        if self._kill_at is not None:
            return max(0.0, self._kill_at - now)
        waits = []
        if self._limit:
            waits.append(_INTERVAL_SECONDS)
        if self._deadline is not None:
            waits.append(max(0.0, self._deadline - now))
        return min(waits, default=None)

    def act(self, level: int | None) -> None:
        """Do what is due.

        Args:
            level: resident bytes at the start of the test.
        """
        now = Clock.seconds()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._child.kill(signal.SIGKILL)
                self._kill_at = now + _GRACE_SECONDS
        elif self._deadline is not None and now >= self._deadline:
            self._stop("timeout")
        elif self._limit and level is not None:
            self.seen = max(self.seen, self._used(level))
            if self.seen > self._limit:
                self._stop("limit")

    def _stop(self, reason: Stopped) -> None:
        """Let the process write its Python stack and die; it has a second for that."""
        self.stopped = reason
        self._child.kill(signal.SIGABRT)
        self._kill_at = Clock.seconds() + _GRACE_SECONDS

    def _used(self, level: int) -> int:
        """Bytes that the process tree uses above its start, at least."""
        try:
            if self._tree is None:
                self._tree = tree_of(self._child.pid)
            sample = self._tree.sample(exact=False)
        except OSError:  # it has just ended
            return self.seen
        return int(sample.most - sample.below_most + sample.below_least - level)


def why_no_limit() -> str:
    """Why no process can be held to a limit on its memory; empty if it can."""
    try:
        resident_reader()
        tree_of(os.getpid())
    except (Unmeasurable, OSError) as error:
        return f"{error}; no test is stopped at its limit"
    return ""
