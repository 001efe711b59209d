"""The memory section at the end of a run."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import chain

from pytest_memguard.escapes import one_line
from pytest_memguard.model import QUIET, Outcome, Totals
from pytest_memguard.report.failure import headline, stage_lines
from pytest_memguard.report.table import children_peak, format_seconds, stage_table, test_table
from pytest_memguard.sizes import format_size

_SHOWN_NOTES = 20


def by_peak(outcomes: Iterable[Outcome], top: int) -> list[Outcome]:
    """Return the tests with the highest peaks in any phase, the largest first.

    Args:
        outcomes: the results of all tests; read once, and no more than ``top`` are kept.
        top: the number of tests.
    """
    # every outcome is read, even if none is kept
    return nsmallest(max(top, 1), outcomes, key=_peak_first)[:top]


def _peak_first(outcome: Outcome) -> tuple[int, str]:
    return -_highest(outcome), outcome.nodeid


def _highest(outcome: Outcome) -> int:
    """Return bytes of the highest peak, children included: a test may do its work in them."""
    own = max((peak.value for phase in outcome.phases for peak in phase.peaks[:1]), default=0)
    children = children_peak(outcome)
    return own + (children.value if children is not None else 0)


def memory_section(outcomes: Iterable[Outcome], sums: Sequence[Totals], top: int) -> str:
    """Return the tests with the largest peaks, their stages, and the run's total.

    Args:
        outcomes: the results of all measured tests; read once, and only those shown are kept.
        sums: the totals of each process, then those of the whole run.
        top: the number of tests to show.
    """
    staged: list[Outcome] = []
    spent: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))

    def seen() -> Iterator[Outcome]:
        for outcome in outcomes:
            if outcome.stages:
                staged.append(outcome)
            spent[outcome.worker].append(outcome.overhead)
            yield outcome

    shown = by_peak(seen(), top)
    parts = []
    if shown:
        more = sum(map(len, spent.values())) - len(shown)
        table = test_table(shown)
        parts.append(
            table if more <= 0 else f"{table}\n({more:,} more; --mem-top N shows more)"
        )
    for outcome in sorted(staged, key=lambda outcome: outcome.nodeid):
        parts.append(
            one_line(f"Stages of {outcome.nodeid}:")
            + "\n"
            + stage_table(outcome.stages, outcome.phase("call"))
        )
        parts += stage_lines(outcome.stages)
    parts.append("\n".join(totals_line(totals, spent) for totals in sums))
    return "\n\n".join(parts)


def time_spent(outcomes: Iterable[Outcome]) -> Mapping[str, array[float]]:
    """Return the seconds that measuring each test took, by process."""
    spent: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
    for outcome in outcomes:
        spent[outcome.worker].append(outcome.overhead)
    return spent


def totals_line(totals: Totals, spent: Mapping[str, Iterable[float]]) -> str:
    """Return the totals of one process, or of all.

    The time for most tests is given as the median: the first test of a process pays for a
    garbage collection, and each test with stages for another one.
    """
    mine = sorted(chain(*(spent[worker] for worker in spent if totals.worker in {"", worker})))
    median = mine[len(mine) // 2] * 1e6 if mine else 0.0
    tests = "1 test" if totals.tests == 1 else f"{totals.tests:,} tests"
    resident = (
        f"RSS {format_size(totals.start)} before, {format_size(totals.end)} after, "
        f"{format_size(totals.highest)} at its highest"
    )
    if not totals.highest:
        resident = "RSS not measured"
    return one_line(
        f"{totals.worker or 'Total'}: {tests}, {resident}; "
        f"measuring took {format_seconds(totals.overhead)} (median {median:,.0f} us a test)"
    )


def notes(outcomes: Iterable[Outcome], *, with_failures: bool) -> list[str]:
    """Return one line for each finding and note.

    Args:
        outcomes: the results of tests.
        with_failures: whether to include what tests failed with.
    """
    lines = []
    for outcome in outcomes:
        headlines = [
            headline(finding)
            for finding in outcome.findings
            if (with_failures or not finding.raised) and finding.rule not in QUIET
        ]
        lines += [
            one_line(f"{outcome.nodeid}: {text}") for text in (*headlines, *outcome.notes)
        ]
    if len(lines) > _SHOWN_NOTES:
        rest = len(lines) - _SHOWN_NOTES
        lines[_SHOWN_NOTES:] = [f"... and {rest} more; --mem-json PATH keeps all of them"]
    return lines
