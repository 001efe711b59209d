"""The memory section at the end of a run."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import chain

from pytest_memguard.escapes import one_line
from pytest_memguard.model.briefs import Brief, briefs, whole
from pytest_memguard.model.measurements import QUIET
from pytest_memguard.model.results import Outcome, Totals
from pytest_memguard.report.columns import WIDTH
from pytest_memguard.report.failure import headline, stage_lines
from pytest_memguard.report.peak_spread import spread_line
from pytest_memguard.report.table import format_seconds, stage_table
from pytest_memguard.report.top_list import SectionLine, top_lines
from pytest_memguard.sizes import format_size

_SHOWN_NOTES = 20


def by_peak(outcomes: Iterable[Outcome], top: int) -> list[Outcome]:
    """Return the tests with the highest peaks in any phase, the largest first.

    Args:
        outcomes: the results of all tests; read once, and no more than ``top`` are kept.
        top: the number of tests.
    """
    return whole(outcomes, _largest(briefs(outcomes), top))


def _largest(seen: Iterable[Brief], top: int) -> list[Brief]:
    # every one is read, even if none is kept
    return nsmallest(max(top, 1), seen, key=_largest_first)[:top]


def _largest_first(brief: Brief) -> tuple[int, str]:
    return -brief.largest, brief.nodeid


def memory_section(
    outcomes: Iterable[Outcome], sums: Sequence[Totals], top: int, width: int = WIDTH
) -> list[SectionLine]:
    """Return the tests with the largest peaks, their stages, and the run's total.

    Args:
        outcomes: the results of all measured tests; read once, and only those shown are kept.
        sums: the totals of each process, then those of the whole run.
        top: the number of tests to show.
        width: the number of characters in a line of the table.
    """
    staged: list[Outcome] = []
    peaks = array("q")
    spent: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))

    def seen() -> Iterator[Brief]:
        for brief in briefs(outcomes):
            if isinstance(brief.of, Outcome) and brief.of.stages:
                staged.append(brief.of)
            if brief.peak is not None:
                peaks.append(brief.peak)
            spent[brief.worker].append(brief.overhead)
            yield brief

    shown = whole(outcomes, _largest(seen(), top))
    lines = top_lines(shown, width)
    more = sum(map(len, spent.values())) - len(shown)
    parts = []
    if shown and more > 0:
        lines.append(SectionLine(text=f"({more:,} more; --mem-top N shows more)"))
    for outcome in sorted(staged, key=lambda outcome: outcome.nodeid):
        title = one_line(f"Stages of {outcome.nodeid}:")
        parts.append(f"{title}\n{stage_table(outcome.stages, outcome.phase('call'))}")
        parts += stage_lines(outcome.stages)
    spread = [line] if (line := spread_line(peaks)) else []
    parts.append("\n".join([*spread, *(totals_line(totals, spent) for totals in sums)]))
    texts = [line for part in parts for line in ("", *part.split("\n"))]
    return [*lines, *map(_plain_line, texts if lines else texts[1:])]


def _plain_line(text: str) -> SectionLine:
    return SectionLine(text=text)


def time_spent(outcomes: Iterable[Outcome]) -> Mapping[str, array[float]]:
    """Return the seconds that measuring each test took, by process."""
    spent: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
    for brief in briefs(outcomes):
        spent[brief.worker].append(brief.overhead)
    return spent


def totals_line(totals: Totals, spent: Mapping[str, Iterable[float]]) -> str:
    """Return the totals of one process, or of all.

    The time for most tests is given as the median: the first test of a process pays for a
    garbage collection, and each test with stages for another one.
    """
    mine = sorted(chain(*(spent[worker] for worker in spent if totals.worker in {"", worker})))
    median = mine[len(mine) // 2] if mine else 0.0
    tests = "1 test" if totals.tests == 1 else f"{totals.tests:,} tests"
    resident = (
        f"RSS {format_size(totals.start)} before, {format_size(totals.end)} after, "
        f"{format_size(totals.highest)} at its highest"
    )
    if not totals.highest:
        resident = "RSS not measured"
    return one_line(
        f"{totals.worker or 'Total'}: {tests}, {resident}; "
        f"measuring took {format_seconds(totals.overhead)} "
        f"(median {format_seconds(median)} per test)"
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
