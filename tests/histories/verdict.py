"""The rule: whether what the plugin says of a test agrees with what the test uses alone."""

from __future__ import annotations

from enum import Enum

from tests.histories.model import Answer, Truth

LEAST_RESOLUTION = 1 << 20
SHARE = 0.05


class Verdict(Enum):
    """What a history says of the plugin, in one test."""

    UNLIMITED = "has no limit"
    WITHIN = "passes, and is within its limit"
    CAUGHT = "fails, and is above its limit"
    REPORTED = "has a line, and is above its limit"
    UNDECIDED = "has a line, and is within its limit"
    CLOSE = "is as close to its limit as the resolution"
    BROKEN = "fails by itself without a line, and is above its limit"
    LESSENED = "passes without a line, and is above its limit only where it is alone"
    RETAINED = "fails, and is within its limit only if what it frees is returned"
    UNSTEADY = "is judged wrongly, but only in one of two runs"
    SILENT = "PASSES WITHOUT A LINE, AND IS ABOVE ITS LIMIT"
    FALSE_ALARM = "FAILS, AND IS WITHIN ITS LIMIT"


FAULTS = frozenset({Verdict.SILENT, Verdict.FALSE_ALARM})
"""What must not be."""


def resolution(limit: int) -> int:
    """How near to a limit nothing is promised, in bytes.

    Slack up to 5 % of a limit does not matter to the plugin (`IGNORED_SHARE` in
    `judge/peak_bounds.py`). Below that no reading of resident memory can decide: an
    arena of 1 MiB that is opened a test earlier or later, and pages that the kernel has not
    added up yet.

    Args:
        limit: bytes.
    """
    return max(LEAST_RESOLUTION, int(SHARE * limit))


def judge(limit: int | None, truth: Truth, lessened: int, answer: Answer) -> Verdict:
    """Compare what the plugin says about a test with the truth.

    Args:
        limit: bytes; ``None`` for none.
        truth: what it uses alone.
        lessened: bytes of that which it need not use where other tests have run before.
        answer: what pytest and the plugin say.
    """
    if limit is None:
        return Verdict.UNLIMITED
    above = truth.low > limit + resolution(limit)
    below = truth.high < limit - resolution(limit)
    if not (above or below):
        return Verdict.CLOSE
    if answer.exceeded:
        return Verdict.CAUGHT if above else _alarm(limit, truth)
    if answer.lines:
        return Verdict.REPORTED if above else Verdict.UNDECIDED
    return _silence(limit, truth, lessened, answer) if above else Verdict.WITHIN


def _alarm(limit: int, truth: Truth) -> Verdict:
    """What it is if a test fails below its limit."""
    most = truth.retaining if truth.retaining is not None else truth.high
    retained = most > limit - resolution(limit)
    return Verdict.RETAINED if retained else Verdict.FALSE_ALARM


def _silence(limit: int, truth: Truth, lessened: int, answer: Answer) -> Verdict:
    """What it is if nothing is said of a test above its limit."""
    if answer.result != "passed":
        return Verdict.BROKEN
    in_place = truth.low - lessened <= limit + resolution(limit)
    return Verdict.LESSENED if in_place else Verdict.SILENT
