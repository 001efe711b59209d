"""The memory section at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.model import Outcome, Totals
from pytest_memguard.report.failure import headline, stage_lines
from pytest_memguard.report.table import format_seconds, stage_table, test_table
from pytest_memguard.units import format_size

_SHOWN_NOTES = 20


def by_peak(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Tests by their highest peak in any phase, the largest first."""
    return sorted(outcomes, key=lambda o: (-_highest(o), o.nodeid))


def _highest(outcome: Outcome) -> int:
    return max((peak.value for phase in outcome.phases for peak in phase.peaks[:1]), default=0)


def memory_section(outcomes: Sequence[Outcome], sums: Sequence[Totals], top: int) -> str:
    """The tests that used most, their stages, and the run's total.

    Args:
        outcomes: every measured test.
        sums: a process each, then the whole run's.
        top: how many tests to show.
    """
    shown = by_peak(outcomes)[:top]
    parts = []
    if shown:
        more = len(outcomes) - len(shown)
        table = test_table(shown)
        parts.append(
            table if more <= 0 else f"{table}\n({more:,} more; --mem-top N shows more)"
        )
    for outcome in outcomes:
        if outcome.stages:
            parts.append(
                f"Stages of {outcome.nodeid}:\n"
                + stage_table(outcome.stages, outcome.phase("call"))
            )
            parts += stage_lines(outcome.stages)
    parts.append("\n".join(totals_line(totals, outcomes) for totals in sums))
    return "\n\n".join(parts)


def totals_line(totals: Totals, outcomes: Sequence[Outcome]) -> str:
    """How much the tests of one process, or of all, used in sum.

    What measuring took for most tests is the median: the first one in a process pays for a
    collection of garbage, and those with stages for one more each.
    """
    spent = sorted(o.overhead for o in outcomes if totals.worker in {"", o.worker})
    median = spent[len(spent) // 2] * 1e6 if spent else 0.0
    tests = "1 test" if totals.tests == 1 else f"{totals.tests:,} tests"
    return (
        f"{totals.worker or 'Total'}: {tests}, RSS {format_size(totals.start)} before, "
        f"{format_size(totals.end)} after, {format_size(totals.highest)} at its highest; "
        f"measuring took {format_seconds(totals.overhead)} (median {median:,.0f} us a test)"
    )


def notes(outcomes: Sequence[Outcome], *, with_failures: bool) -> list[str]:
    """One line for everything that must be seen.

    Args:
        outcomes: the tests.
        with_failures: also what tests have failed with.
    """
    lines = []
    for outcome in outcomes:
        lines += [
            f"{outcome.nodeid}: {headline(finding)}"
            for finding in outcome.findings
            if with_failures or not finding.raised
        ]
        lines += [f"{outcome.nodeid}: {note}" for note in outcome.notes]
    if len(lines) > _SHOWN_NOTES:
        rest = len(lines) - _SHOWN_NOTES
        lines[_SHOWN_NOTES:] = [f"... and {rest} more; --mem-json PATH keeps all of them"]
    return lines
