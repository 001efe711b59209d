"""Makes the finding on a test that a hard budget has stopped."""

from __future__ import annotations

from pytest_memguard.judge.budget import amount, subject
from pytest_memguard.model.measurements import Budget, Finding, Peak, Stop

_TOUCHED_SHARE = 0.5
"""Below this share of what was reserved, what was touched is worth a word."""

_KNOWN_SHARE = 0.5
"""Below this share of the budget, what is known to be reserved does not explain anything."""


def hard_limit(budget: Budget, stop: Stop, peak: Peak | None) -> Finding:
    """Return the finding for a hard budget that stopped a test.

    Args:
        budget: the budget.
        stop: where it stopped the test.
        peak: how far resident memory had risen, if it was measured.
    """
    return Finding(
        rule="hard-limit", budget=budget, peak=peak, text=_text(budget, stop, peak), stop=stop
    )


def cause_not_known(budget: Budget) -> str:
    """Return the note for a `MemoryError` whose cause is not known."""
    return (
        f"the test caught a MemoryError: whether {_limit(budget)} caused it or the test itself "
        "is not known here, only on Python 3.12 and later"
    )


def not_held(budget: Budget) -> str:
    """Return the note for a test that changed the limit that holds it."""
    return (
        f"{_limit(budget)} could not stop the test to its end: something set RLIMIT_DATA "
        "meanwhile"
    )


def _text(budget: Budget, stop: Stop, peak: Peak | None) -> str:
    parts = [f"{_limit(budget)} stopped the test", _place(stop), _stage(budget, stop)]
    if stop.caught:
        parts[0] = f"{_limit(budget)} was reached"
    elif not stop.file:
        parts[0] = f"{_limit(budget)} stopped the test with a MemoryError"
    sentence = " ".join(part for part in parts[:2] if part)
    return ", ".join([sentence, *filter(None, parts[2:])]) + _end(budget, stop, peak)


def _end(budget: Budget, stop: Stop, peak: Peak | None) -> str:
    if stop.caught and not stop.file:
        return "; the test caught a MemoryError and went on"
    used = amount(budget, max(0, stop.used))
    if stop.by == "watchdog":
        end = f": {subject(budget, None)} had risen {used}"
    elif stop.used < _KNOWN_SHARE * budget.limit:  # or some of it is freed already
        end = ": it asked for more than was left"
    else:
        end = f": it asked for more when it had reserved {used}"
        if peak is not None and peak.value < _TOUCHED_SHARE * stop.used:
            touched = amount(budget, max(0, peak.value))
            end += f" and touched {touched}: what is reserved counts"
    if stop.words:
        end += f"; {stop.words}"
    if stop.caught:
        end += "; it caught the MemoryError and went on"
    return end


def _place(stop: Stop) -> str:
    if not stop.file:
        return ""
    place = f"in {stop.function}, {stop.file}:{stop.line}"
    if stop.test_line:
        place += f", called from line {stop.test_line} of the test's file"
    return f"{place}, in thread {stop.thread!r}" if stop.thread else place


def _stage(budget: Budget, stop: Stop) -> str:
    if stop.stage is None or stop.stage == budget.stage:
        return ""
    return f"in stage {stop.stage!r}"


def _limit(budget: Budget) -> str:
    of_stage = f" for stage {budget.stage!r}" if budget.stage is not None else ""
    return f"the hard budget of {amount(budget, budget.limit)}{of_stage} set by {budget.where}"
