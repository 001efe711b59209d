"""The list of the tests with the largest peaks: numbers, bars, tests and largest lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.measurements import CallSite, PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.columns import narrow_table, shortened_name
from pytest_memguard.report.failure import describe_site
from pytest_memguard.report.table import test_cells, used_share
from pytest_memguard.sizes import MIB
from pytest_memguard.values import dataclass

BOUND_LEGEND: Final = "(<= N): the peak may have been up to N; slack or sampling hides the rest"
_BAR: Final = 6
"""Characters of the longest bar."""
_LEAST_WITH_BAR: Final = MIB
"""Bytes of the largest peak below which there are no bars."""
_HEAD_LINES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionLine:
    """A line of the memory section."""

    text: str
    """The line."""
    share: float | None = None
    """The share of its budget that the test in the line has used, if it has one."""


def top_lines(shown: Sequence[Outcome], width: int) -> list[SectionLine]:
    """Return the table of the tests with the largest peaks, and what its signs mean.

    Args:
        shown: the tests, the largest first.
        width: the number of characters in a line.
    """
    if not shown:
        return []
    headers, rows = test_cells(shown)
    bars = _bars(shown)
    if bars:
        headers.insert(1, "")
        for row, bar in zip(rows, bars, strict=True):
            row.insert(1, bar)
    table = narrow_table(headers, rows, width)
    lines = [SectionLine(text=text) for text in table[:_HEAD_LINES]]
    for text, outcome in zip(table[_HEAD_LINES:], shown, strict=True):
        lines.append(SectionLine(text=text, share=used_share(outcome)))
        site = largest_site(outcome)
        if site is not None:
            largest = one_line(f"largest: {describe_site(site)}")
            lines.append(SectionLine(text=f"  {shortened_name(largest, width - 2)}"))
    if any("(<=" in cell for row in rows for cell in row[:-1]):
        lines.append(SectionLine(text=BOUND_LEGEND))
    return lines


def largest_site(outcome: Outcome) -> CallSite | None:
    """Return the line that held most at the test's peak; ``None`` if it is not known."""
    sites = [finding.sites[0] for finding in outcome.findings if finding.sites]
    return max(sites, key=lambda site: site.size, default=None)


def _bars(shown: Sequence[Outcome]) -> list[str]:
    """Return a bar for each test, for the highest peak of its phases, which orders the list.

    There are none if a single test is shown, or if all peaks are too small to matter.
    """
    peaks = [max((_of_phase(phase) for phase in one.phases), default=0) for one in shown]
    most = max(peaks)
    if len(shown) == 1 or most < _LEAST_WITH_BAR:
        return []
    return [("#" * -(-_BAR * peak // most)).ljust(_BAR) for peak in peaks]


def _of_phase(phase: PhaseReading) -> int:
    peak = phase.peak()
    return 0 if peak is None else max(0, peak.value)
