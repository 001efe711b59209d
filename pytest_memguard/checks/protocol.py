"""What a check is: it plans tests, judges what was measured, and says what fails them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from pytest_memguard.errors import CheckFailed
from pytest_memguard.measure.requirements import Requirements

if TYPE_CHECKING:
    from pytest_memguard.errors import (
        BudgetExceeded,
        LeakDetected,
        MemoryRegression,
        WrongNeed,
    )
    from pytest_memguard.extension import Readings, TestInfo
    from pytest_memguard.model.leaks import LeakReading
    from pytest_memguard.model.measurements import Budget, Finding, PhaseName
    from pytest_memguard.model.results import Gap, Outcome

    Limits: TypeAlias = Callable[[], Sequence[Budget]]
    CheckError: TypeAlias = type[
        BudgetExceeded | CheckFailed | LeakDetected | MemoryRegression | WrongNeed
    ]


class PlacedMarker(NamedTuple):
    """A marker, and where it stands."""

    mark: Any
    """The marker itself: ``name``, ``args`` and ``kwargs``; the same object for many tests."""
    node: Any
    """The test, class or module that has it."""
    where: str
    """How a message names it: "the marker", "the marker on TestLoading"."""


class MarkedTest(Protocol):
    """A test, as checks ask about it when they plan."""

    @property
    def nodeid(self) -> str:
        """Name of the test."""

    def marked(self, name: str) -> Sequence[PlacedMarker]:
        """The markers of a name that hold for it, the closest first."""

    def depth(self, marker: PlacedMarker) -> int:
        """How deep in the tree of tests a marker stands: its own are the deepest."""

    def parameters(self) -> Mapping[str, object] | None:
        """Values of its parameters; ``None`` if it has none."""

    def info(self) -> TestInfo:
        """The test as checks of other plugins see it."""

    def problem_lines(self, marker: PlacedMarker, problems: Iterable[str]) -> list[str]:
        """A line for each problem of a marker, with the test and its place."""


class Measured(Protocol):
    """What was measured of a test, when one of its phases has ended."""

    @property
    def lost(self) -> str:
        """Why resident memory is not known; empty if it is."""

    def judge_limits(self, limits: Sequence[Budget]) -> list[Finding]:
        """What there is to say about limits on peaks that have to do with the phase."""

    def judge_stage_budgets(self) -> list[Finding]:
        """The same about budgets that stages bring along themselves."""

    def peak_and_growth(self) -> tuple[int, int]:
        """Bytes of the peak of the call, and of what the test has left so far."""

    def readings(self) -> Readings:
        """Every metric that was read, as checks of other plugins see it."""


class TestCheck:
    """One reason to measure tests, to derive from.

    Attributes:
        name: the key of its plan.
        error: what a test fails with.
        explains: whether its breaches get the lines that allocated.
        only_warns: whether its breaches fail no test.
        measures: whether tests that it concerns are measured in their own run.
        judges_reruns: whether a test is judged when it is run once more in a child.
        shares_plans: whether many tests have the same plan.
    """

    __test__ = False  # no test, though its name begins like one

    name: str
    error: CheckError
    explains = True
    only_warns = False
    measures = True
    judges_reruns = True
    shares_plans = True

    def plan(
        self,
        test: MarkedTest,
        limits: Limits,
        problems: list[str],
    ) -> Any:
        """What is needed to judge a test later; ``None`` if the check does not concern it.

        Args:
            test: with its markers.
            limits: returns the limits on peaks that the checks before this one judge.
            problems: takes a line for everything that is wrong with the markers.

        Returns:
            A value that can be hashed; tests with the same share what follows from it.
        """
        return None

    def planned(self, problems: list[str]) -> None:
        """Make ready, once all tests have been planned.

        Args:
            problems: takes a line for everything that keeps the run from starting.
        """

    def default_plan(self) -> Any:
        """The plan of a test without markers that no pattern names."""
        return None

    def requirements(self, plan: Any) -> Requirements:
        """What has to be measured to judge by a plan."""
        return Requirements()

    def judge(
        self,
        plan: Any,
        measured: Measured,
        phase: PhaseName,
    ) -> list[Finding]:
        """What there is to say about a test when a phase has ended.

        Args:
            plan: the plan of the test; ``None`` if it has none.
            measured: what is known of the test.
            phase: what has ended.
        """
        return []

    def judge_leak(self, plan: Any, reading: LeakReading) -> list[Finding]:
        """What there is to say about the reading of the test's leak check."""
        return []

    def after_call(self, test: MarkedTest) -> Finding | None:
        """What a test fails with though nothing that was measured has anything against it."""
        return None

    def too_late(
        self,
        test: MarkedTest,
        markers: Sequence[PlacedMarker],
        reason: str,
        problems: list[str],
    ) -> list[Finding]:
        """A finding for each marker that the test has added when it was too late.

        Args:
            test: which.
            markers: those it has added, of any name.
            reason: why they have no effect.
            problems: takes a line for everything that is wrong with them.
        """
        return []

    # What becomes of findings

    def owns(self, finding: Finding) -> bool:
        """Whether a finding is one of this check."""
        raise NotImplementedError

    def consider(
        self,
        finding: Finding,
        so_far: Outcome,
        seconds: float | None,
    ) -> Finding | None:
        """What is to be made of a finding of this check, before a test fails with it.

        Args:
            finding: the finding of the judge.
            so_far: what was measured of the test so far.
            seconds: what its call took; ``None`` if it must not be run again.

        Returns:
            The finding as it is reported; nothing where it has turned out to be none.
        """
        return finding

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """Whether a finding of this check fails a test, unless the check only warns."""
        raise NotImplementedError

    def warns(self, finding: Finding) -> bool:
        """Whether a finding of this check is a warning of the test."""
        return False

    def below(self, finding: Finding, so_far: Outcome) -> list[str]:
        """What stands below the sentence of a failure."""
        return []

    def notes(self, plan: Any, uncovered_setup: int | None) -> list[str]:
        """What else the report should say about a test.

        Args:
            plan: the plan of the test; ``None`` if it has none.
            uncovered_setup: bytes of setup's peak, if it rose above a limit that covers the
                call alone.
        """
        return []

    def reports(self, nodeid: str) -> bool:
        """Whether a test's result says more than what was measured, whatever that was."""
        return False

    def complete(self, outcome: Outcome, plan: Any) -> Outcome:
        """Add what this check alone knows to the result of a test."""
        return outcome

    def completes_others(self) -> bool:
        """Whether `complete` may add to a test without a plan that it does not report."""
        return type(self).complete is not TestCheck.complete

    def has_unused(self) -> bool:
        """Whether its settings name something that no test that was planned has."""
        return False

    def unused(self) -> list[Gap]:
        """What its settings name though no test that was planned has it."""
        return []
