"""Reports which tests took more than the high-water mark, for how long, and how to avoid it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.plugin.options import EXTRA

if TYPE_CHECKING:
    from pytest_memguard.measure.tracker_share import TrackerShare
    from pytest_memguard.plugin.fresh.fresh_budgets import FreshBudgets

_TRACKED: Final = "tracked"
_AGAIN: Final = "again"
_SECONDS: Final = "seconds"


class ExtraMeasurements:
    """Has the tests of this process that took more, and those of workers.

    Args:
        share: has the tests in which memray ran.
        fresh: has those that were measured again in a fresh process.
    """

    def __init__(self, share: TrackerShare, fresh: FreshBudgets) -> None:
        self._share = share
        self._fresh = fresh
        self._began = Clock.seconds()
        self._of_workers: list[Mapping[str, Any]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report to the controller."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None and (self._share.tests or self._fresh.tests):
            output[EXTRA] = self._own()

    def take(self, node: object) -> None:
        """Take what a worker reports at its end."""
        report = getattr(node, "workeroutput", {}).get(EXTRA)
        if report is not None:
            self._of_workers.append(report)

    def lines(self) -> list[str]:
        """What to say of them; nothing where there were none."""
        if not (self._share.tests or self._fresh.tests or self._of_workers):
            return []
        from pytest_memguard.report.extra_measurements import (
            again_in_words,
            breaches_in_words,
            tracked_in_words,
        )

        reports = [self._own(), *self._of_workers]
        seconds = sum(one[_SECONDS] for one in reports if one[_TRACKED])
        again: dict[str, list[Any]] = {"slack": [], "breach": [], "no time": []}
        for one in reports:
            for *test, reason in one[_AGAIN]:
                again[reason].append(test)
        return [
            *tracked_in_words([test for one in reports for test in one[_TRACKED]], seconds),
            *again_in_words(again["slack"]),
            *breaches_in_words(again["breach"], again["no time"]),
        ]

    def _own(self) -> dict[str, Any]:
        """Those of this process: name, seconds, the budget that avoids it, and the reason."""
        return {
            _SECONDS: Clock.seconds() - self._began,
            _TRACKED: _rows(self._share.tests),
            _AGAIN: [list(test.row()) for test in self._fresh.tests],
        }


def _rows(tests: Sequence[Any]) -> list[list[Any]]:
    return [[test.nodeid, test.seconds, test.avoided_by] for test in tests]
