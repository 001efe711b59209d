"""The needs check: it has tests measured whose need is declared, or not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_memguard.checks.needs.marker import MARKER, DeclaredNeeds
from pytest_memguard.checks.protocol import MarkedTest, Measured, PlacedMarker, TestCheck
from pytest_memguard.errors import WrongNeed
from pytest_memguard.judge.declared_need import is_too_large, is_too_small, sentence
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.measurements import Budget, Finding, PhaseName
from pytest_memguard.model.metrics import RSS

if TYPE_CHECKING:
    from pytest_memguard.checks.protocol import Limits
    from pytest_memguard.model.results import Outcome

_CHECK: Final = "mem_needs"
_CHILDREN: Final = (
    "it started child processes, whose memory does not count here: whether it needs as much as "
    "it declares is not known"
)


class NeedPlan(NamedTuple):
    """Why a test is measured."""

    declared: int
    """Bytes that it declares; 0 if only what it uses is of interest."""


WATCHED: Final = NeedPlan(0)
"""The plan of a test that declares nothing."""


class NeedsCheck(TestCheck):
    """Compares what tests declare with what they use.

    Args:
        is_watched: returns whether what a test uses is of interest, though it declares
            nothing.
        level: returns the resident bytes of this process, without what it could free.
        has_children: returns whether the test that runs has started child processes.
    """

    name = "needs"
    error = WrongNeed
    explains = False
    judges_reruns = False

    def __init__(
        self,
        is_watched: Callable[[MarkedTest], bool],
        level: Callable[[], int],
        has_children: Callable[[], bool],
    ) -> None:
        self._is_watched = is_watched
        self._has_children = has_children
        self._declared = DeclaredNeeds()
        self._level = level
        self._base = -1

    def plan(
        self,
        test: MarkedTest,
        limits: Limits,
        problems: list[str],
    ) -> NeedPlan | None:
        """What a test declares; ``None`` if it is not to be measured."""
        declared = self._declared.of(test, problems)
        if declared:
            if self._base < 0:
                # what earlier tests leave comes on top, so that no use seems too small
                self._base = self._level()
            return NeedPlan(declared)
        return WATCHED if self._is_watched(test) else None

    def requirements(self, plan: NeedPlan) -> Requirements:
        """That setup and call are measured."""
        return Requirements(readings=bool(plan.declared))

    def judge(
        self, plan: NeedPlan | None, measured: Measured, phase: PhaseName
    ) -> list[Finding]:
        """What there is to say about the marker when the call has ended."""
        if plan is None or not plan.declared or phase != "call":
            return []
        reading = measured.readings().whole(RSS.name)
        if reading is None or reading.lost or measured.lost:
            reason = measured.lost or (reading.lost if reading is not None else "")
            text = f"what the test used was not measured: {reason or 'nothing reports it'}"
            return [_finding(plan.declared, text, measured=False)]
        used = reading.highest - reading.before
        at_most = max(used, reading.highest - self._base)
        if is_too_small(plan.declared, used):
            return [_finding(plan.declared, sentence(plan.declared, used, at_most=False))]
        if not is_too_large(plan.declared, at_most):
            return []
        if self._has_children():
            return [_finding(plan.declared, _CHILDREN, measured=False)]
        return [_finding(plan.declared, sentence(plan.declared, at_most, at_most=True))]

    def too_late(
        self,
        test: MarkedTest,
        markers: Sequence[PlacedMarker],
        reason: str,
        problems: list[str],
    ) -> list[Finding]:
        """A finding if the test has added the marker when it was too late."""
        late = [marker for marker in markers if marker.mark.name == MARKER]
        declared = self._declared.of(test, problems) if late else 0
        return [_finding(declared, reason, measured=False)] if declared else []

    def consider(
        self,
        finding: Finding,
        so_far: Outcome,
        seconds: float | None,
    ) -> Finding | None:
        """The finding, if the test has come to its end: otherwise its use proves nothing."""
        return None if seconds is None else finding

    def owns(self, finding: Finding) -> bool:
        """Whether a finding is about a declared need."""
        return finding.check == _CHECK

    def is_breach(self, nodeid: str, finding: Finding) -> bool:
        """Whether the marker is wrong."""
        return finding.rule == "wrong-need"


def _finding(declared: int, text: str, *, measured: bool = True) -> Finding:
    return Finding(
        rule="wrong-need" if measured else "not-measured",
        check=_CHECK,
        budget=Budget(limit=declared, where="the marker", metric=RSS.name, phase="all"),
        text=text if measured else f"mem_needs is not checked: {text}",
    )
