"""Decides whether an attempt to use less memory is kept."""

from __future__ import annotations

from typing import Final, Literal

from pytest_memguard.judge.imports import imports_may_explain
from pytest_memguard.judge.noise import noise
from pytest_memguard.model.baselines import BaselineEntry
from pytest_memguard.sizes import MIB, format_size
from pytest_memguard.values import dataclass

Status = Literal["KEEP", "DISCARD", "RE-RUN"]

LEAST_SAVED_BYTES: Final = 5 * MIB
"""Bytes that must be saved by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with an attempt, and why."""

    status: Status
    """The word for the log."""
    reason: str
    """The reason, with numbers."""


def decide(
    before: BaselineEntry,
    now: BaselineEntry | None,
    *,
    metric: str,
    failed: int,
    keep: int = LEAST_SAVED_BYTES,
) -> Decision:
    """Decide whether to keep an attempt.

    Args:
        before: the target's entry in the baseline.
        now: its entry in the attempt; ``None`` if it did not pass or was not measured.
        metric: the metric of both.
        failed: how many tests of the run failed.
        keep: bytes that must be saved.
    """
    if failed:
        many = "1 test failed" if failed == 1 else f"{failed:,} tests failed"
        return Decision(status="DISCARD", reason=many)
    if now is None:
        return Decision(status="DISCARD", reason="the target did not pass, or was not measured")
    by_leak = _by_leak(before, now)
    return by_leak if by_leak is not None else _by_peak(before, now, metric, keep)


def _by_leak(before: BaselineEntry, now: BaselineEntry) -> Decision | None:
    """Return the decision if a leak came or went; then the peak does not matter."""
    if not before.leak and now.leak:
        text = f"it leaks {format_size(now.leak)} per call"
        if before.leak == 0:
            return Decision(status="DISCARD", reason=f"{text}, and did not before")
        return Decision(status="DISCARD", reason=f"{text}; on record it was not checked")
    if before.leak and now.leak == 0:
        text = f"the leak of {format_size(before.leak)} per call is gone"
        more = now.peak - before.peak
        if more > 0:
            text += f", though its peak is {format_size(more)} higher"
        return Decision(status="KEEP", reason=text)
    return None


def _by_peak(before: BaselineEntry, now: BaselineEntry, metric: str, keep: int) -> Decision:
    saved = before.peak - now.peak
    was = f"than {format_size(before.peak)} on record"
    if saved <= 0:
        more = f"{format_size(-saved)} more {was}" if saved else f"no less {was}"
        return Decision(status="DISCARD", reason=more)
    less = f"{format_size(saved)} less {was}"
    doubt = _doubt(before, now, metric, keep)
    if doubt:
        return Decision(status="RE-RUN", reason=f"{less}, {doubt}: confirm it")
    return Decision(status="KEEP", reason=less)


def _doubt(before: BaselineEntry, now: BaselineEntry, metric: str, keep: int) -> str:
    """Return why a saving is not certain yet; empty if it is."""
    saved = before.peak - now.peak
    if saved < keep:
        return f"which is under {format_size(keep)}"
    hidden = max(now.ceiling - now.peak, 0)
    if saved - hidden < keep:
        return f"but slack inside the process may hide {format_size(hidden)}"
    apart = noise(before, metric)
    if saved <= apart:
        return f"but readings of the same code may lie {format_size(apart)} apart"
    if imports_may_explain(now, before, saved):
        return "but on record the test imported modules that it did not import now"
    return ""
