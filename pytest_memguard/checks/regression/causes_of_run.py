"""Finds what regressions of this process have in common: the first explains, others refer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from pytest_memguard.judge.regression_findings import as_before, judged_by_group
from pytest_memguard.model.baselines import Change
from pytest_memguard.model.cause_groups import (
    LEAST_SHARE,
    CauseGroups,
    grown_candidates,
    line_text,
)
from pytest_memguard.model.causes import Cause, CauseGroup
from pytest_memguard.model.measurements import CallSite, Finding
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.model.results import Outcome

_MOST_TRACED: Final = 40
"""How many regressions of a process are traced at once, at most."""
_MOST_OPEN_TRACED: Final = 20
"""How many undecided tests are, which a line that has grown may decide."""
_SURE_MEMBERS: Final = 10
"""Tests that a fresh process has found to be larger for one reason, after which others that are
as much larger are not measured again."""
_TRACED: Final = "The lines are those of a first call, under memray in a fresh process."
_TRACED_AGAIN: Final = "The lines are those of a second call, under memray in a fresh process."


class Tracer(Protocol):
    """Runs a test under memray in a fresh process, at once."""

    def lines(self, so_far: Outcome, seconds: float, *, cold: bool) -> Sequence[CallSite]:
        """The largest lines at the peak of its first or second call; none if not known."""

    def fixtures(self, nodeid: str) -> tuple[str, ...]:
        """Names of the fixtures that a test uses."""


class CausesOfRun:
    """Groups the regressions of this process while its tests run.

    Args:
        tracer: traces suspects at once; ``None`` if that is not wanted or not possible.
        root: what paths are shown relative to.
    """

    def __init__(self, tracer: Tracer | None, root: str) -> None:
        self._tracer = tracer
        self._root = f"{root}/"
        self._groups = CauseGroups()
        self._traced: Counter[str] = Counter()

    def is_explained(self, finding: Finding, change: Change | None, so_far: Outcome) -> bool:
        """Whether other tests explain a regression so well that it needs no measuring again.

        A change in code that a whole suite calls makes hundreds of tests larger by the same
        amount. Measuring each of them again would take longer than the suite.

        Args:
            finding: on a limit that the baseline sets, as the run has measured it.
            change: what it is about.
            so_far: what was measured of the test so far.
        """
        stored = finding.budget.baseline_value
        cause = _cause_of(finding, change, "")
        if finding.rule != "regression" or stored is None or stored.cold or cause is None:
            return False
        if self._tracer is not None:
            cause = replace(cause, fixtures=self._tracer.fixtures(so_far.nodeid))
        group = self._groups.find(so_far.nodeid, cause)
        return group is not None and bool(group.line) and len(group.tests) >= _SURE_MEMBERS

    def explained_peaks(self, finding: Finding, so_far: Outcome) -> tuple[tuple[int, int], ...]:
        """Peaks of a test that would be explained, each as the least and the most bytes.

        A first call in a fresh process whose peak is one of them has the cause that others
        have, so no second call has to tell whether the first fills something.

        Args:
            finding: on a limit that the baseline sets, as the run has measured it.
            so_far: what was measured of the test so far.
        """
        limit, stored = finding.budget.limit, finding.budget.baseline_value
        if stored is None or stored.cold or self._tracer is None:
            return ()
        before = stored.before if stored.low is None else stored.low
        fixtures = self._tracer.fixtures(so_far.nodeid)
        grown = self._groups.explained(so_far.nodeid, fixtures, _SURE_MEMBERS)
        peaks = ((max(before + least, limit + 1), before + most) for least, most in grown)
        return tuple((least, most) for least, most in peaks if least <= most)

    def placed(
        self,
        finding: Finding,
        change: Change | None,
        stage: str,
        so_far: Outcome,
        seconds: float,
    ) -> Finding:
        """The finding with its cause, and where another test has it, with a reference to that.

        Args:
            finding: a regression, or an undecided comparison.
            change: what it is about.
            stage: the one that grew, if it is known.
            so_far: what was measured of the test so far.
            seconds: what its call took.
        """
        cause = _cause_of(finding, change, stage)
        if cause is None:
            return replace(finding, cause=None)
        nodeid = so_far.nodeid
        if self._tracer is not None:
            cause = replace(cause, fixtures=self._tracer.fixtures(nodeid))
        if finding.rule != "regression":
            return self._judged(finding, cause, so_far, seconds)
        group = self._groups.find(nodeid, cause)
        if group is None:
            finding, cause = self._traced_finding(finding, cause, so_far, seconds)
            group = self._groups.find(nodeid, cause)
        return self._added(finding, cause, group, nodeid)

    def _added(
        self, finding: Finding, cause: Cause, group: CauseGroup | None, nodeid: str
    ) -> Finding:
        """Return a regression as a member of its group, which is a new one if there is none."""
        first = group.first if group is not None and group.first != nodeid else ""
        cause = replace(cause, first=first)
        after = self._groups.add(nodeid, cause, fails=True)
        if not first:
            return replace(finding, cause=cause)
        known = tuple(line for line in cause.lines if line == after.line)
        cause = replace(cause, lines=known or cause.lines)
        return replace(as_before(finding, cause), cause=cause, sites=(), advice="")

    def _judged(
        self, finding: Finding, cause: Cause, so_far: Outcome, seconds: float
    ) -> Finding:
        """Return an undecided finding, as a regression if a line that has grown explains it."""
        _, cause = self._traced_finding(finding, cause, so_far, seconds)
        if not cause.lines:
            return replace(finding, cause=cause)
        group = self._groups.find(so_far.nodeid, cause)
        if group is None or group.line not in cause.lines:
            return replace(finding, cause=cause)
        cause = replace(cause, lines=(group.line,), first=group.first)
        self._groups.add(so_far.nodeid, cause, fails=True)
        judged = judged_by_group(finding, cause)
        return replace(judged, cause=cause, sites=(), advice="")

    def _traced_finding(
        self, finding: Finding, cause: Cause, so_far: Outcome, seconds: float
    ) -> tuple[Finding, Cause]:
        """Trace a suspect, and return what its finding and its cause are then."""
        has_lines = finding.peak is not None and metric_named(finding.budget.metric).has_lines
        if self._tracer is None or finding.sites or not has_lines:
            return finding, cause
        most = _MOST_TRACED if finding.rule == "regression" else _MOST_OPEN_TRACED
        if self._traced[finding.rule] >= most:
            return finding, cause
        self._traced[finding.rule] += 1
        found = self._tracer.lines(so_far, seconds, cold=cause.is_fill)
        if not found:
            return finding, cause
        sites = tuple(replace(site, file=site.file.removeprefix(self._root)) for site in found)
        lines = cause.lines or grown_candidates(sites, cause.growth)
        advice = _TRACED if cause.is_fill else _TRACED_AGAIN
        return replace(finding, sites=sites, advice=advice), replace(cause, lines=lines)


def _cause_of(finding: Finding, change: Change | None, stage: str) -> Cause | None:
    """Return what is known of the cause of a finding without running its test again."""
    cause = finding.cause
    if cause is None and finding.rule == "regression" and change is not None:
        cause = Cause(growth=change.now - change.before)
    if cause is None:
        return None
    if not cause.holder:
        cause = replace(cause, stage=stage)
    if change is None or not change.lines:
        return cause
    was, now = change.lines[0]
    grew = now.size - (was.size if was is not None else 0)
    if grew < LEAST_SHARE * cause.growth:
        return cause
    return replace(cause, lines=(line_text(now.file, now.line, now.function),))
