"""Findings about numbers above a limit of the baseline, before and after measuring again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.judge.bound_reasons import REASONS
from pytest_memguard.judge.change_sentences import (
    above,
    above_a_bound,
    above_baseline,
    allowed,
    subject,
)
from pytest_memguard.judge.cold_and_warm import (
    NO_FILLS,
    NOTABLE,
    Against,
    KnownFills,
    TwoCalls,
    cold_limit,
)
from pytest_memguard.judge.imports import new_libraries
from pytest_memguard.judge.limits import is_by_noise
from pytest_memguard.judge.regression import change_of, kind_of
from pytest_memguard.model.baselines import BaselineValue, Fill
from pytest_memguard.model.causes import Cause
from pytest_memguard.model.measurements import Budget, Finding, Peak, Rule
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.sizes import format_size


def peak_finding(budget: Budget, stored: BaselineValue, peak: Peak) -> Finding | None:
    """Compare a peak with a limit of the baseline.

    Args:
        budget: the limit.
        stored: the baseline value that the limit was made from.
        peak: the peak that was measured.

    Returns:
        A finding of the rule regression or undecided; ``None`` otherwise.
    """
    kind = kind_of(budget, stored, peak.value, peak.high)
    if kind == "regression":
        text = _grown(budget, stored, peak.value)
        return Finding(rule="regression", budget=budget, peak=peak, text=text)
    if kind == "same":
        return None
    change = change_of(budget, stored, peak.value)
    if kind_of(budget, stored, peak.value, peak.value) == "undecided":
        text = above_a_bound(change)
        return Finding(rule="undecided", budget=budget, peak=peak, text=text)
    if peak.bound == "foreign":
        return None  # the baseline value was measured beside other allocators as well
    low, high, _ = metric_named(budget.metric).amounts(
        peak.value, peak.high, budget.limit, visible=(budget.limit,)
    )
    text = (
        f"{subject(change)} lies between {low} and {high}, the "
        f"{allowed(change)} in between: {REASONS[peak.bound]}"
    )
    return Finding(rule="undecided", budget=budget, peak=peak, text=text)


def number_finding(budget: Budget, stored: BaselineValue, now: int) -> Finding | None:
    """Compare a number that is not a peak with a limit of the baseline.

    Args:
        budget: the limit.
        stored: the baseline value that the limit was made from.
        now: bytes, or bytes per call.
    """
    if kind_of(budget, stored, now, now) != "regression":
        return None
    return Finding(rule="regression", budget=budget, text=_grown(budget, stored, now))


def _grown(budget: Budget, stored: BaselineValue, now: int) -> str:
    """Return the sentence with the number, its difference from the baseline, and the limit."""
    return above(change_of(budget, stored, now), by_noise=is_by_noise(budget))


def not_decided(finding: Finding, why: str) -> Finding:
    """Return a finding on a number that must not be measured again.

    Args:
        finding: about a number above its limit, or whose upper bound is above it.
        why: why it must not.
    """
    text = f"{finding.text}; it could not be measured again in a fresh process: {why}"
    return replace(finding, rule="undecided", text=text)


def after_two_calls(
    finding: Finding,
    measured: Sequence[TwoCalls],
    verdict: Against | None,
    problem: str,
    known: KnownFills = NO_FILLS,
    reported: str = "",
) -> Finding | None:
    """Return a finding as it is after two calls in a fresh process.

    Args:
        finding: about a number above its limit, or whose upper bound is above it.
        measured: the peaks of these calls, one pair for each process, the latest last.
        verdict: what the latest say against the test; ``None`` if there are none.
        problem: why there are none.
        known: what the tests of the baseline fill.
        reported: the earlier test that has failed for what the first call fills.

    Returns:
        ``None`` where that has answered what was nothing but a question.
    """
    stored = finding.budget.baseline_value
    if verdict is None or stored is None:
        why = problem or "it did not pass there"
        text = f"{finding.text}; it could not be measured again in a fresh process: {why}"
        return replace(finding, text=text)
    calls = measured[-1]
    if verdict is Against.NOTHING and finding.rule != "regression":
        return None
    if verdict in _OF_FILLS:
        text = _fill_sentence(finding, stored, calls, verdict, known)
        if verdict is Against.FILL_IS_REPORTED:
            text += f"; {reported} was the first to fill it in this run, and fails for that"
        return replace(finding, rule=_OF_FILLS[verdict], text=text)
    rule, end = _OF_USE[verdict]
    if verdict is Against.TOO_CLOSE:
        amount = metric_named(finding.budget.metric).amount
        inexact = calls.cold if calls.cold.value <= finding.budget.limit else calls.warm
        end = end.format(high=amount(inexact.high if inexact is not None else 0))
        rule = finding.rule if inexact is calls.cold else rule
    words = _in_words(finding, measured)
    text = f"{finding.text}; measured again in a fresh process: {words}{end}"
    return replace(finding, rule=rule, text=text)


_OF_USE: Final[Mapping[Against, tuple[Rule, str]]] = {
    Against.NOTHING: (
        "undecided",
        ", so it is not held against it (--mem-confirm); compare it by itself to decide",
    ),
    Against.USE_GREW: ("regression", ""),
    Against.AS_IN_OTHERS: ("regression", ""),
    Against.RECORD_IS_A_BOUND: ("undecided", ""),
    Against.TOO_CLOSE: ("undecided", ", which may be up to {high}"),
    Against.NOT_REPEATABLE: (
        "undecided",
        (
            "; it does not pass a second time there, so what it fills for good (caches, "
            "tables) cannot be told from what each call uses: let it pass twice in one "
            "process, or leave it out with mem_regression(None)"
        ),
    ),
}
"""The rule of a finding after a verdict, and the end of its sentence."""
_OF_FILLS: Final[Mapping[Against, Rule]] = {
    Against.FILL_GREW: "regression",
    Against.FILL_IS_NEW: "regression",
    Against.IMPORT_IS_NEW: "regression",
    Against.FILL_IS_KNOWN: "known-fill",
    Against.FILL_IS_SMALL: "known-fill",
    Against.FILL_IS_REPORTED: "known-fill",
    Against.FILL_MAY_BE_IMPORTS: "undecided",
    Against.FILL_MAY_BE_KNOWN: "undecided",
    Against.FILL_MAY_BE_SHARED: "undecided",
}
"""The rule of a finding that turns out to be about what the first call fills for good."""


_REUSED: Final = " in a fresh process (here it reused freed memory)"


def as_before(finding: Finding, cause: Cause) -> Finding:
    """Return a regression in one line, which refers to the test that explains its cause.

    Args:
        finding: the regression.
        cause: its cause, which another test has, too.
    """
    budget, stored = finding.budget, finding.budget.baseline_value
    text = finding.text
    if stored is not None and finding.peak is not None:
        here = change_of(budget, stored, finding.peak.value)
        fresh = replace(here, now=here.before + cause.growth)
        is_hidden = here.now <= budget.limit < fresh.now
        text = above_baseline(fresh if is_hidden else here)
        text += _REUSED if is_hidden else ""
    return replace(finding, text=f"{text}; {_same_cause(cause)}")


def judged_by_group(finding: Finding, cause: Cause) -> Finding:
    """Return an undecided finding as a regression: the test calls a line that has grown.

    Args:
        finding: about a number above its limit.
        cause: the line, and the test that explains it.
    """
    return replace(as_before(finding, cause), rule="regression")


def _same_cause(cause: Cause) -> str:
    """Return what has grown in two tests, as far as it is known of this one."""
    if len(cause.lines) == 1:
        return f"{cause.lines[0]} grew, as in {cause.first}, which explains it"
    if cause.holder or cause.stage:
        what = cause.holder or f"stage {cause.stage!r}"
        return f"{what} grew, as in {cause.first}, which explains it"
    return f"as much as {cause.first}, which explains it"


def _fill_sentence(
    finding: Finding,
    stored: BaselineValue,
    calls: TwoCalls,
    verdict: Against,
    known: KnownFills,
) -> str:
    """Return the sentence about what the first call fills for good."""
    budget = finding.budget
    amount = metric_named(budget.metric).amount
    later = amount(calls.warm.value if calls.warm is not None else 0)
    first = f"the first call in a process takes {amount(calls.cold.value)}"
    if calls.fills:
        first += f" and fills {_holders(calls.fills)}"
    first += f", the next one takes {later}"
    if verdict is Against.FILL_IS_KNOWN:
        return f"{first}, as on record{_first_of(calls.fills, known)}"
    if verdict is Against.FILL_IS_SMALL:
        return f"{first}; less than {format_size(NOTABLE)} of anything is not on record"
    if verdict is Against.FILL_IS_REPORTED:
        return f"{first}, more than on record"
    change = change_of(budget, stored, calls.cold.value)
    if verdict is Against.FILL_GREW:
        cold = replace(change, before=stored.cold, allowed=cold_limit(budget, stored))
        return f"cold {above(cold, by_noise=False)}; {first}"
    grown = above(change, by_noise=is_by_noise(budget))
    return f"{grown}; {first}{_why_new(verdict, calls, stored, known)}"


def _why_new(
    verdict: Against, calls: TwoCalls, stored: BaselineValue, known: KnownFills
) -> str:
    """Return what is known of a fill that is not on record."""
    if verdict is Against.IMPORT_IS_NEW:
        names = new_libraries(calls.libraries, known.loaded)
        return (
            f"; the first one imports {' and '.join(names)}, which no test had imported when "
            "the baseline was saved"
        )
    imports = calls.imports - stored.imports
    if verdict is Against.FILL_MAY_BE_IMPORTS:
        modules = "1 module" if imports == 1 else f"{imports:,} modules"
        return (
            f"; the first one imports {modules} more than when the baseline was saved, which "
            "another test may have imported then (--mem-accept stores it)"
        )
    if verdict is Against.FILL_IS_NEW:
        return ", and no test on record fills as much of that"
    if verdict is Against.FILL_MAY_BE_SHARED:
        return (
            ": several tests may have filled that, each a part, and the baseline does not say "
            "what tests fill together (--mem-accept stores what this one fills)"
        )
    if known.is_complete:
        part = "the rest" if calls.fills else "that"
        return (
            f": what holds {part} was not found, so it may be what another test filled when "
            "the baseline was saved (--mem-accept stores it)"
        )
    return (
        ": the baseline does not say whether another test filled that when it was saved "
        "(--mem-save stores it)"
    )


def _first_of(fills: Sequence[Fill], known: KnownFills) -> str:
    """Return which test filled it when the baseline was saved, if that is known."""
    for fill in fills:
        if fill.holder in known.by_holder:
            who = known.by_holder[fill.holder].nodeid or "several tests"
            return f": {who} filled it when it was saved"
    return ""


def _holders(fills: Sequence[Fill]) -> str:
    """Return the holder of most of what is filled, and how many others there are."""
    first, *others = fills
    more = f" and {len(others)} more" if others else ""
    return f"{first.holder} ({format_size(first.size)}){more}"


def _in_words(finding: Finding, measured: Sequence[TwoCalls]) -> str:
    warm = measured[-1].warm
    later = [warm.value] if warm is not None else []
    values = [*(calls.cold.value for calls in measured), *later]
    amounts = metric_named(finding.budget.metric).amounts(*values)
    again = f", and {amounts.pop()} when it is called once more" if later else ""
    return f"{' and '.join(amounts)}{again}"
