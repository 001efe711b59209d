"""Reads what calls of a test in a fresh process have shown."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final

from pytest_memguard.codecs.measurement_codecs import FILLS_CODEC
from pytest_memguard.codecs.run_codec import OUTCOME_CODEC
from pytest_memguard.forking.isolation import ChildResult
from pytest_memguard.judge.cold_and_warm import NOTABLE, Against, TwoCalls
from pytest_memguard.model.causes import Cause
from pytest_memguard.model.measurements import Budget, Finding, Peak
from pytest_memguard.model.results import Outcome
from pytest_memguard.values import dataclass

GROWN: Final = frozenset({Against.FILL_GREW, Against.FILL_IS_NEW, Against.IMPORT_IS_NEW})
"""Verdicts that what the first call fills has grown."""
_HAS_CAUSE: Final = GROWN | {
    Against.USE_GREW,
    Against.AS_IN_OTHERS,
    Against.RECORD_IS_A_BOUND,
    Against.NOTHING,
    Against.TOO_CLOSE,
    Against.NOT_REPEATABLE,
}
"""Verdicts after which it makes sense to ask what has grown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What two calls in a fresh process have shown of a test."""

    cold: Outcome | None = None
    """Of the first call, if it passed."""
    warm: Outcome | None = None
    """Of the second one, if it passed."""
    calls: TwoCalls | None = None
    """The peaks of both."""
    problem: str = ""
    """Why there are none."""


def cause_of(
    finding: Finding,
    calls: TwoCalls | None,
    verdict: Against | None,
    grown: Collection[str],
) -> Cause | None:
    """What a second measurement says about the cause of a finding.

    Args:
        finding: before that measurement.
        calls: the peaks of both calls.
        verdict: what they say against the test.
        grown: holders of what has grown.
    """
    stored, peak = finding.budget.baseline_value, finding.peak
    if stored is None or peak is None or calls is None or verdict not in _HAS_CAUSE:
        return None
    if verdict in GROWN:
        before = stored.cold or stored.before
        growth, holder = calls.cold.value - before, min(grown, default="")
        return Cause(growth=growth, holder=holder, is_fill=True)
    if verdict is Against.AS_IN_OTHERS:
        more = calls.cold
    else:
        more = calls.warm if verdict is Against.USE_GREW and calls.warm is not None else peak
    before = stored.before if stored.low is None else stored.low
    return Cause(growth=more.value - before)


def again_from(answer: ChildResult, of: Callable[[Outcome], Peak | None]) -> Again:
    """What an answer says about one of the test's peaks."""
    if answer.problem or not answer.value:
        return Again(problem=answer.problem or "it did not get that far")
    cold, warm = (passed(answer.value[name]) for name in ("cold", "warm"))
    first = of(cold) if cold is not None else None
    if cold is None or first is None:
        return Again(problem="it did not pass there")
    calls = TwoCalls(
        cold=first,
        warm=of(warm) if warm is not None else None,
        is_enough=was_enough(answer),
        fills=FILLS_CODEC.read(answer.value["fills"]),
        imports=cold.imports,
        libraries=tuple(answer.value["libraries"]),
    )
    return Again(cold=cold, warm=warm, calls=calls)


def was_enough(answer: ChildResult) -> bool:
    """Whether the first run was enough, so that there was no second."""
    return bool(answer.value and answer.value["is_enough"])


def differs(answer: ChildResult) -> bool:
    """Whether the first run took so much more than the second that it has filled something."""
    if answer.problem or not answer.value:
        return False
    runs = (answer.value[name] for name in ("cold", "warm"))
    peaks = [call_peak(OUTCOME_CODEC.read(one)) for one in runs if one is not None]
    values = [peak.value for peak in peaks if peak is not None]
    return len(values) == len(("cold", "warm")) and values[0] - values[1] > NOTABLE


def named(answer: ChildResult, other: ChildResult) -> ChildResult:
    """An answer with the names that another process has found."""
    if other.problem or not other.value:
        return answer
    return replace(answer, value={**answer.value, "fills": other.value["fills"]})


def passed(answer: Any) -> Outcome | None:
    """The outcome of a run that has passed."""
    outcome = OUTCOME_CODEC.read(answer) if answer is not None else None
    return outcome if outcome is not None and outcome.result == "passed" else None


def call_peak(outcome: Outcome) -> Peak | None:
    """The peak of resident memory in a test's call."""
    call = outcome.phase("call")
    return call.peak() if call is not None else None


def peak_of(outcome: Outcome, budget: Budget) -> Peak | None:
    """What a second measurement says about what a limit is on: the call, or a stage."""
    stored = budget.baseline_value
    if stored is not None and stored.rule.kind == "growth":
        growth = max(0, outcome.growth)
        return Peak(metric=budget.metric, value=growth, high=growth, method="kernel mark")
    if budget.stage is not None:
        stage = next((s for s in outcome.stages if s.path == budget.stage), None)
        return stage.peak(budget.metric) if stage is not None else None
    call = outcome.phase("call")
    return call.peak(budget.metric) if call is not None else None
