"""What a breach says about its allocation lines: which they are, or how to get them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.model.measurements import BREACHES, Finding
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.fresh.rerun import Rerun
from pytest_memguard.plugin.memray_user import memray_user
from pytest_memguard.plugin.so_far import PhaseEnd, SoFar
from pytest_memguard.plugin.suspects import MOST_TRACED, Suspects, leaves_question
from pytest_memguard.sizes import format_size

_NEXT: Final = (
    "Allocation lines: run this test again; the next run measures it under memray from the "
    "start (--mem-explain=next)."
)
_OTHERS: Final = (
    f"Allocation lines: this run traces {MOST_TRACED} tests at most, one for each suspected "
    "cause, and not this one; run it by itself (--mem-explain=next)."
)
_NO_CACHE: Final = (
    "Allocation lines need pytest's cache, which is switched off (-p no:cacheprovider), or "
    "--mem-explain=rerun."
)
_RERUN: Final = "Run once more in a forked child (--mem-explain=rerun)"


class Explainer:
    """Adds the largest lines to a finding, or a sentence about how to get them.

    Args:
        settings: the settings of the run.
        instruments: the instruments of the process.
        suspects: the tests that the next run tracks from the start.
        so_far: reads what is known of the test that runs.
        rerun: runs a test once more.
    """

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        suspects: Suspects,
        so_far: SoFar,
        rerun: Rerun,
    ) -> None:
        self._how = settings.explain
        self._instruments = instruments
        self._suspects = suspects
        self._so_far = so_far
        self._rerun = rerun

    def explain(self, ended: PhaseEnd, finding: Finding) -> Finding:
        """The finding with its lines or a sentence about them.

        Args:
            ended: where it is.
            finding: a breach or an open question.
        """
        finding = replace(finding, sites=self._so_far.relative(finding.sites))
        if finding.sites or not leaves_question(finding):
            return finding
        if self._how == "never":
            return replace(
                finding, advice="Allocation lines were not recorded: --mem-explain=never."
            )
        no_heap = self._no_tracker() or self._instruments.no_heap
        no_heap = no_heap or memray_user(ended.item)
        if no_heap:
            return replace(finding, advice=f"Allocation lines are not available: {no_heap}.")
        if self._how == "next":
            return replace(finding, advice=self._in_next_run(ended.item.nodeid))
        if ended.failed or ended.phase == "teardown":
            in_teardown = ended.phase == "teardown"
            why = "in its teardown" if in_teardown else "when it ends otherwise"
            return replace(finding, advice=f"A test is not run once more {why}.")
        return self._by_rerun(ended, finding)

    def _in_next_run(self, nodeid: str) -> str:
        """How the next run names the lines of a test."""
        if not self._suspects.can_remember:
            return _NO_CACHE
        is_spared = nodeid in self._suspects and nodeid not in self._suspects.traced
        return _OTHERS if is_spared and self._suspects.traced else _NEXT

    def _no_tracker(self) -> str:
        """Why memray could not be used when the test needed it; empty if it could."""
        detail = self._so_far.measurement.detail
        return detail.no_tracker if detail is not None else ""

    def _by_rerun(self, ended: PhaseEnd, finding: Finding) -> Finding:
        phase = ended.phase
        second, problem = self._rerun.under_memray(ended.item, phase)
        if second is None:
            return replace(finding, advice=f"{_RERUN}, without an answer: {problem}.")
        same = [f for f in second.findings if f.rule in BREACHES and f.budget == finding.budget]
        if not same:
            reading = second.phase(phase)
            peak = reading.peak(finding.budget.metric) if reading is not None else None
            measured = f": {format_size(peak.value)}" if peak is not None else ""
            limit = "budget" if finding.budget.baseline_value is None else "limit"
            return replace(
                finding,
                advice=f"{_RERUN}, it stayed within the {limit}{measured}; the breach did not "
                "reproduce.",
            )
        peak = same[0].peak
        reached = f", which peaked at {format_size(peak.value)}" if peak else ""
        return replace(
            finding,
            sites=self._so_far.relative(same[0].sites),
            advice="The lines are those of a second run in a forked child "
            f"(--mem-explain=rerun){reached}.",
        )
