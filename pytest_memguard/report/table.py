"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tabulate import tabulate

from pytest_memguard.escapes import one_line
from pytest_memguard.model.measurements import (
    Budget,
    CallSite,
    Peak,
    PhaseName,
    PhaseReading,
    StageReading,
)
from pytest_memguard.model.metrics import CHILDREN, metric_named
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.columns import filled_columns
from pytest_memguard.sizes import MIB, format_mib


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return rows under their headers, text on the left and numbers on the right.

    Args:
        headers: the headers of the columns.
        rows: the cells.
        left: how many of the first columns hold text.
    """
    return aligned_table(headers, rows, ["left"] * left + ["right"] * (len(headers) - left))


def aligned_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str]
) -> str:
    """Return rows under their headers, one line each, whatever their cells hold.

    Args:
        headers: the headers of the columns.
        rows: the cells.
        align: left or right, for each column.
    """
    return tabulate(
        [[one_line(cell) for cell in row] for row in rows],
        headers=headers,
        tablefmt="simple",
        colalign=align if rows else None,
        disable_numparse=True,
    )


def _peak(peak: Peak | None) -> str:
    """Return a peak in MiB, with its upper bound if that is far above."""
    if peak is None:
        return "-"
    if peak.unseen is None:
        if peak.method != "sampled":  # others have reset the kernel's mark
            return f">= {format_mib(peak.value)}"
        return f"{format_mib(peak.value)} (sampled)"
    ceiling = peak.high + peak.unseen
    if ceiling - peak.value > max(4 * MIB, peak.value // 10):
        return f"{format_mib(peak.value)} (<= {format_mib(ceiling)})"
    return format_mib(peak.value)


def _signed(size: int) -> str:
    text = f"{size / MIB:+.1f}"
    return "+0.0" if text == "-0.0" else text


def format_seconds(seconds: float) -> str:
    """Return a duration in words: "1.20 s", "15.0 ms"."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def stage_table(stages: Sequence[StageReading], call: PhaseReading | None) -> str:
    """Return the stages of one test, followed by the whole test.

    Args:
        stages: the stages, in order.
        call: the reading of the call, for the last line.
    """
    rows = [
        [
            stage.path if stage.count == 1 else f"{stage.path} x{stage.count}",
            _signed(stage.delta) if stage.peak() is not None else "-",
            _signed(stage.cumul) if stage.peak() is not None else "-",
            _peak(stage.peak()),
            format_seconds(stage.seconds),
        ]
        for stage in stages
    ]
    if call is not None:
        growth = _signed(call.growth) if call.peak() is not None else "-"
        rows.append(
            [
                "(whole test)",
                growth,
                growth,
                _peak(call.peak()),
                format_seconds(call.seconds),
            ]
        )
    return plain_table(["Stage", "Delta MiB", "Cumul MiB", "Peak MiB", "Time"], rows)


def site_table(sites: Sequence[CallSite]) -> str:
    """Return a table of allocation sites, the largest first."""
    kept = any(site.kept is not None for site in sites)
    headers = ["MiB", *(["Kept MiB"] if kept else []), "Blocks", "Function", "Line"]
    rows = [
        [
            format_mib(site.size),
            *([format_mib(site.kept or 0)] if kept else []),
            f"{site.count:,}",
            site.function,
            f"{site.file}:{site.line}" if site.line else site.file,
        ]
        for site in sites
        if max(site.size, site.kept or 0) >= MIB // 20 or site is sites[0]
    ]
    return aligned_table(headers, rows, ["right"] * (len(headers) - 2) + ["left", "left"])


_HEADERS: Final = (
    "Peak MiB",
    "Setup",
    "Call",
    "Teardown",
    "After",
    "Children",
    "Budget",
    "Used",
    "Test",
)
_CALL: Final = _HEADERS.index("Call")


def _phase_peak(outcome: Outcome, name: PhaseName) -> str:
    phase = outcome.phase(name)
    return _peak(phase.peak()) if phase is not None else "-"


def _other_budgets(outcome: Outcome) -> str:
    return "" if len(outcome.budgets) < 2 else f" +{len(outcome.budgets) - 1}"


def _measured(outcome: Outcome, budget: Budget) -> int | None:
    """Return the bytes that count against a budget, if the phases show them."""
    values = []
    for phase in outcome.phases:
        peak = phase.peak(budget.metric)
        if peak is None or budget.stage is not None or not budget.covers(phase.name):
            continue
        before = 0
        if budget.phase == "all" and metric_named(budget.metric).is_resident:
            before = phase.level - outcome.phases[0].level
        value = peak.own if budget.threads == "current" else peak.value
        values += [] if value is None else [before + value]
    return max(values, default=None)


def test_cells(outcomes: Sequence[Outcome]) -> tuple[list[str], list[list[str]]]:
    """Return headers and cells of a table of tests, the test last.

    Columns that say nothing of any test are left out, and that of the call where it is the
    same as the peak.

    Args:
        outcomes: the results of tests.
    """
    rows = [_cells(outcome) for outcome in outcomes]
    kept = filled_columns(_HEADERS, rows, ("Peak MiB", "Test"))
    if all(row[_CALL] in {row[0], "-"} for row in rows):
        kept = [number for number in kept if number != _CALL]
    return [_HEADERS[number] for number in kept], [[row[n] for n in kept] for row in rows]


def used_share(outcome: Outcome) -> float | None:
    """Return the share of its budget that a test has used; ``None`` if it is not known."""
    budget = outcome.tightest
    measured = None if budget is None else _measured(outcome, budget)
    return None if budget is None or measured is None else measured / budget.limit


def children_peak(outcome: Outcome) -> Peak | None:
    """Return what the descendants of a test used; ``None`` if it had none, as far as known."""
    peaks = (phase.peak(CHILDREN.name) for phase in outcome.phases)
    return next((peak for peak in peaks if peak is not None), None)


def _cells(outcome: Outcome) -> list[str]:
    """Return the peaks of a test, its growth, its budget and its name."""
    budget, peak, share = outcome.tightest, outcome.peak, used_share(outcome)
    children = children_peak(outcome)
    return [
        _peak(peak),
        _phase_peak(outcome, "setup"),
        _phase_peak(outcome, "call"),
        _phase_peak(outcome, "teardown"),
        _signed(outcome.growth) if peak is not None else "-",
        _peak(children) if children is not None else "-",
        "-"
        if budget is None
        else metric_named(budget.metric).amount(budget.limit) + _other_budgets(outcome),
        "-" if share is None else f"{share:.0%}",
        outcome.nodeid,
    ]
