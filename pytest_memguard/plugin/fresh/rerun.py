"""Runs a test once more: in a fork of this process now, or of one in which no test has run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.measurements import PHASES, Budget, CallSite, PhaseName
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Outcome
from pytest_memguard.plugin.memray_user import memray_user
from pytest_memguard.plugin.names import MUST_NOT_RUN_AGAIN, must_not_run_again

if TYPE_CHECKING:
    from pytest_memguard.measure.instruments import Instruments
    from pytest_memguard.plugin.measured_tests import MeasuredTests
    from pytest_memguard.plugin.so_far import SoFar

RERUN_SECONDS: Final = 30.0
_TIMES_THE_PHASE: Final = 20
_NO_LIMIT: Final = 1 << 62


class Rerun:
    """Runs tests once more in children, where they are measured in another way.

    Args:
        tests: begins to measure them.
        so_far: reads what is known of the one that runs.
        instruments: the instruments of the process.
        prepare: has setup measured, and keeps what is known of a test when it has ended.
    """

    def __init__(
        self,
        tests: MeasuredTests,
        so_far: SoFar,
        instruments: Instruments,
        prepare: Callable[[], None],
    ) -> None:
        self._tests = tests
        self._so_far = so_far
        self._instruments = instruments
        self._prepare = prepare

    def under_memray(self, item: pytest.Item, phase: PhaseName) -> tuple[Outcome | None, str]:
        """Run a test in a child that is forked now, with fresh function-scoped fixtures.

        The child tears nothing down, neither before nor after: what a fixture would remove or
        stop is still in use here.

        Args:
            item: the test; it is in the middle of a phase.
            phase: that phase; the child stops after it.

        Returns:
            What was measured and found there and, where that is not known, the reason.
        """
        if must_not_run_again(item):
            return None, MUST_NOT_RUN_AGAIN
        from pytest_memguard.forking.isolation import run_in_fork
        from pytest_memguard.plugin.pytest_internals.items import forget_function_scope
        from pytest_memguard.plugin.pytest_internals.running import (
            call_and_report,
            detach,
        )

        def second_run() -> Any:
            detach(item.config)
            self._begin(Requirements(track=True))
            forget_function_scope(item)
            for name in PHASES[: PHASES.index(phase) + 1]:
                if call_and_report(item, name, log=False).failed and name != phase:
                    break
            return self._answer()

        took = self._so_far.state.phase(phase).region.seconds
        try:
            result = run_in_fork(second_run, max(RERUN_SECONDS, _TIMES_THE_PHASE * took))
        except OSError as error:
            return None, str(error)
        if result.problem or not result.value:
            return None, result.problem or "it did not get that far"
        from pytest_memguard.codecs.run_codec import OUTCOME_CODEC

        return OUTCOME_CODEC.read(result.value), ""

    def alone(self, item: pytest.Item, metric: str = RSS.name, *, foreign: bool = False) -> Any:
        """In a child in which no test has run: run a test, with no slack that could hide it.

        Args:
            item: the test.
            metric: what is measured beside resident memory.
            foreign: whether slack of other allocators counts.

        Returns:
            What it used, as JSON; ``None`` where that is not known.
        """
        # only what is limited is measured; no peak is as high as this
        limits = (
            () if metric == RSS.name else (Budget(limit=_NO_LIMIT, where="", metric=metric),)
        )
        self.take_slack()
        self._begin(Requirements(record=True, limits=limits, foreign=foreign))
        passed = _passes(item)
        return self._answer(item.nodeid, "passed" if passed else "failed")

    def unmeasured(self, items: Sequence[pytest.Item]) -> Sequence[str]:
        """In a child in which no test has run: run tests, and leave nothing behind but theirs.

        Args:
            items: the tests, in the order in which the run has them.

        Returns:
            Those that did not pass.
        """
        self._tests.paused = True  # what takes slack would be among what is new afterwards
        after = [*items[1:], None]
        return [
            item.nodeid
            for item, nextitem in zip(items, after, strict=True)
            if not _passes(item, nextitem)
        ]

    def take_slack(self) -> None:
        """In a process that only measures and ends: take all slack."""
        self._instruments.take_slack()

    def lines(self, item: pytest.Item, calls: int) -> Sequence[CallSite]:
        """In a child in which no test has run: the lines that hold most at a call's peak.

        Args:
            item: the test.
            calls: how often it is called; the last call counts.
        """
        from pytest_memguard.plugin.fresh.traced_call import lines_of_call

        if self._instruments.no_heap or memray_user(item):
            return ()
        self._tests.paused = True  # memray can follow one thing at a time
        return lines_of_call(item, calls, self._instruments.folder)

    def _begin(self, requirements: Requirements) -> None:
        self._tests.again(requirements)
        self._prepare()

    def _answer(self, nodeid: str = "", result: str = "passed") -> Any:
        """In the child, after the run: what it has shown."""
        self._instruments.folder.close()
        state = self._so_far.state
        if not state.is_measured:
            return None
        from pytest_memguard.codecs.run_codec import OUTCOME_CODEC

        return OUTCOME_CODEC.write(
            Outcome(
                nodeid=nodeid,
                result=result,
                phases=self._so_far.measurement.phase_readings(),
                stages=self._so_far.stages(),
                findings=tuple(state.findings),
                imports=state.imports,
            )
        )


def _passes(item: pytest.Item, nextitem: pytest.Item | None = None) -> bool:
    """Run a test, and return whether it has passed.

    Args:
        item: the test.
        nextitem: the one that runs after it; what it needs as well is not torn down.
    """
    from pytest_memguard.plugin.pytest_internals.running import runtestprotocol

    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    return all(report.passed for report in reports)
