"""Finds what tests fill together, each too little to be on record by itself."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.codecs.measurement_codecs import FILLS_CODEC
from pytest_memguard.judge.cold_and_warm import added_fills
from pytest_memguard.plugin.names import must_not_run_again
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    from pytest_memguard.model.baselines import Fill
    from pytest_memguard.model.results import Outcome
    from pytest_memguard.plugin.fresh.fresh_process import FreshProcess

KEY: Final = "memguard_shared_fills"
"""What a worker sends its fills under."""
_LEAST_GROWTH: Final = 256 * KIB
"""A test that leaves less behind is not run again for it."""
_MOST_TESTS: Final = 100
_MOST_SECONDS: Final = 10.0
"""The most seconds that the calls of these tests may have taken."""


class SharedFills:
    """Has tests that left something behind run again, one after the other in one process.

    Several tests may fill the same cache, each a part of it. A test that fills all of it, where
    the others do not run, has to be compared with what they fill together.

    Args:
        process: runs tests where no other test has run.
    """

    def __init__(self, process: FreshProcess) -> None:
        self._process = process
        self._grown: list[tuple[Outcome, float]] = []
        self._parts: list[tuple[Fill, ...]] = []
        self._here: tuple[Fill, ...] = ()

    def note(self, outcome: Outcome, seconds: float) -> None:
        """Note a test whose numbers are stored, and whose peak is too low to be measured again.

        Args:
            outcome: of the test.
            seconds: what its call took.
        """
        if outcome.growth >= _LEAST_GROWTH and outcome.result == "passed":
            self._grown.append((outcome, seconds))

    def fills(self) -> tuple[Fill, ...]:
        """Return what the tests of any process of the run fill together, the largest first."""
        return added_fills(self._here, *self._parts)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run these tests again after the last test."""
        result = yield
        if not self._grown:  # as in what only distributes tests
            return result
        items = {item.nodeid: item for item in session.items}
        chosen: list[Outcome] = []
        total = 0.0
        for outcome, seconds in sorted(self._grown, key=_growth_per_second, reverse=True):
            fits = len(chosen) < _MOST_TESTS and total + seconds <= _MOST_SECONDS
            if fits and not must_not_run_again(items.get(outcome.nodeid)):
                chosen.append(outcome)
                total += seconds
        self._grown = []
        if len(chosen) > 1 and self._process.has_time:
            self._here = self._filled_by(chosen, total)
        return result

    def _filled_by(self, outcomes: list[Outcome], seconds: float) -> tuple[Fill, ...]:
        first, *others = outcomes
        nodeids = [outcome.nodeid for outcome in others]
        answer = self._process.ask(first, seconds, names_fills=True, others=nodeids)
        return FILLS_CODEC.read(answer.value["fills"]) if answer.value else ()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[KEY] = FILLS_CODEC.write(self._here)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker tells at its end."""
        self._parts.append(FILLS_CODEC.read(getattr(node, "workeroutput", {}).get(KEY, ())))


def _growth_per_second(grown: tuple[Outcome, float]) -> float:
    outcome, seconds = grown
    return outcome.growth / max(seconds, 0.001)
