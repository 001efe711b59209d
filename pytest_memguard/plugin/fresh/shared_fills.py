"""Finds what tests fill together, each too little to be on record by itself."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.codecs.measurement_codecs import FILLS_CODEC
from pytest_memguard.judge.cold_and_warm import NOTABLE, added_fills
from pytest_memguard.plugin.names import must_not_run_again
from pytest_memguard.sizes import KIB
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.model.baselines import Fill
    from pytest_memguard.model.results import Outcome
    from pytest_memguard.plugin.fresh.fresh_process import FreshProcess

KEY: Final = "memguard_shared_fills"
"""What a worker sends its fills under."""
_LEAST_SIZE: Final = 64 * KIB
"""A test that leaves less behind is not run again for it."""
_MOST_SECONDS: Final = 10.0
"""Seconds that these tests may have taken in any run."""
_SHARE: Final = 0.1
"""Share of the time of all tests that they may have taken in a longer one."""
_NOT_RUN: Final = "some tests that left memory behind must not run twice, or did not pass"
_LONG: Final = "the tests that left memory behind take too long to run them once more"
_LOST: Final = "a worker has ended without a report"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grown:
    """A test that has left something behind."""

    outcome: Outcome
    """What was measured of it."""
    size: int
    """Bytes that it has left, or fills where no other test has run."""
    seconds: float
    """What its phases took."""


class SharedFills:
    """Has tests that left something behind run again, one after the other in one process.

    Several tests may fill the same cache, each a part of it. A test that fills all of it, where
    the others do not run, has to be compared with what they fill together.

    Args:
        process: runs tests where no other test has run.

    Attributes:
        tests: how many were run again, in all processes of the run.
        seconds: what that took.
        gaps: why what they fill together is not known, for each process; empty if it is.
    """

    def __init__(self, process: FreshProcess) -> None:
        self._process = process
        self._grown: list[_Grown] = []
        self._left = 0
        self._seconds_of_all = 0.0
        self._parts: list[Sequence[Fill]] = []
        self.tests, self.seconds = 0, 0.0
        self.gaps: list[str] = []

    def note(self, outcome: Outcome, filled: int = 0, *, is_stored: bool = True) -> None:
        """Note a test that has run.

        Args:
            outcome: of the test.
            filled: bytes that it fills in a fresh process, if that is known.
            is_stored: whether its numbers are stored: it has passed.
        """
        seconds = sum(phase.seconds for phase in outcome.phases)
        self._seconds_of_all += seconds
        size = max(outcome.growth, filled, 0)
        if is_stored and size >= _LEAST_SIZE:
            self._grown.append(_Grown(outcome=outcome, size=size, seconds=seconds))
        else:
            self._left += size

    def fills(self) -> tuple[Fill, ...]:
        """Return what the tests of any process of the run fill together, the largest first."""
        return added_fills(*self._parts)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run these tests again after the last test."""
        result = yield
        workers = getattr(session.config, "workerinput", {}).get("workercount", 1)
        in_all = self._left + sum(grown.size for grown in self._grown)
        # nothing has grown in what only distributes tests; little is no regression of any test
        if not self._grown or in_all <= NOTABLE / workers:
            return result
        is_long = False
        places = {item.nodeid: place for place, item in enumerate(session.items)}
        chosen: list[_Grown] = []
        total, most = 0.0, max(_MOST_SECONDS, _SHARE * self._seconds_of_all)
        for grown in sorted(self._grown, key=_bytes_per_second, reverse=True):
            if must_not_run_again(session.items[places[grown.outcome.nodeid]]):
                self._left += grown.size
            elif total + grown.seconds > most:
                self._left += grown.size
                is_long = True
            else:
                chosen.append(grown)
                total += grown.seconds
        self._grown = []
        if chosen:
            # in the order of the run, so that wide fixtures are not set up for each
            chosen.sort(key=lambda grown: places[grown.outcome.nodeid])
            self._run_again(chosen, total)
        if self._left > NOTABLE and not self.gaps:
            self.gaps.append(_LONG if is_long else _NOT_RUN)
        return result

    def _run_again(self, chosen: Sequence[_Grown], seconds: float) -> None:
        """Run tests once more, and note what they fill."""
        first, *others = (grown.outcome for grown in chosen)
        start = Clock.seconds()
        nodeids = [outcome.nodeid for outcome in others]
        answer = self._process.ask(first, seconds, names_fills=True, others=nodeids)
        self.tests += len(chosen)
        self.seconds += Clock.seconds() - start
        if not answer.value:
            self.gaps.append(f"they could not be run once more: {answer.problem}")
            return
        self._parts.append(FILLS_CODEC.read(answer.value["fills"]))
        failed = frozenset(answer.value["failed"])
        self._left += sum(one.size for one in chosen if one.outcome.nodeid in failed)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the controller what was found."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            fills = FILLS_CODEC.write(self.fills())
            output[KEY] = [fills, self.tests, self.seconds, self.gaps]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker tells at its end."""
        fills, tests, seconds, gaps = getattr(node, "workeroutput", {}).get(KEY, _NOTHING)
        self._parts.append(FILLS_CODEC.read(fills))
        self.tests += tests
        self.seconds += seconds
        self.gaps += gaps


def _bytes_per_second(grown: _Grown) -> float:
    return grown.size / max(grown.seconds, 0.001)


_NOTHING: Final = ((), 0, 0.0, (_LOST,))
"""What is known of a worker that has told nothing."""
