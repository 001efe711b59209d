"""Tests whose last run left a question: remembered, so that the next run traces them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import filterfalse
from math import log2
from typing import Final

import pytest

from pytest_memguard.model.measurements import BREACHES, Finding
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.model.results import Outcome

MOST_TRACED: Final = 10
"""Tests that one run traces at most."""
TRACED_LINE: Final = "memguard-traced-line"
"""The name that `TracedLine` is registered under."""
_CACHE_KEY: Final = "memguard/suspects"
_FORMAT: Final = 2
_MOST_REMEMBERED: Final = 1000
_STEPS_PER_DOUBLING: Final = 4


class Suspects:
    """Tests whose last run left a question that only the exact tracker answers.

    They are kept in pytest's cache, each with what it has in common with others that fail for
    the same reason. The next run measures one of each kind under memray from the start; a test
    is forgotten once it stays within its budgets.

    Args:
        cache: the cache of pytest; ``None`` where it is switched off.

    Attributes:
        traced: those that this run traces.
    """

    def __init__(self, cache: pytest.Cache | None) -> None:
        self._cache = cache
        self._known: dict[str, str] = {}
        self.traced: set[str] = set()
        stored = cache.get(_CACHE_KEY, None) if cache is not None else None
        if isinstance(stored, Mapping) and stored.get("format") == _FORMAT:
            tests = stored.get("tests")
            if isinstance(tests, Mapping):
                self._known = {test: str(cause) for test, cause in tests.items()}

    @property
    def can_remember(self) -> bool:
        """Whether there is a cache to remember with."""
        return self._cache is not None

    def __bool__(self) -> bool:
        return bool(self._known)

    def __contains__(self, nodeid: object) -> bool:
        return nodeid in self._known

    def choose(self, nodeids: Iterable[str]) -> None:
        """Choose the tests that this run traces: one for each suspected cause, and not many.

        Args:
            nodeids: of its tests that have a limit; only these can need allocation lines.
        """
        by_cause: dict[str, str] = {}
        for nodeid in nodeids if self._known else ():
            if nodeid in self._known and len(by_cause) < MOST_TRACED:
                by_cause.setdefault(self._known[nodeid], nodeid)
        self.traced.clear()
        self.traced.update(by_cause.values())

    def update(self, outcomes: Iterable[Outcome]) -> None:
        """Remember the tests with an open question, forget those without; store the rest."""
        known = dict(self._known)
        for outcome in outcomes:
            open_ones = filter(leaves_question, filterfalse(_is_accepted, outcome.findings))
            first = next(open_ones, None)
            if first is not None:
                known[outcome.nodeid] = cause_of(outcome.nodeid, first)
            elif outcome.phase("call") is not None:
                known.pop(outcome.nodeid, None)
        if known != self._known and self._cache is not None:
            tests = dict(sorted(known.items())[:_MOST_REMEMBERED])
            self._cache.set(_CACHE_KEY, {"format": _FORMAT, "tests": tests})
        self._known = known


def cause_of(nodeid: str, finding: Finding) -> str:
    """What a finding has in common with others of the same cause.

    That is the line where it is known, else the module, the part of the test and about the
    size.

    Args:
        nodeid: the test.
        finding: has a peak.
    """
    if finding.sites:
        site = finding.sites[0]
        return f"{site.file}:{site.line}"
    size = finding.peak.value if finding.peak is not None else 0
    about = round(_STEPS_PER_DOUBLING * log2(max(size, 1)))
    part = finding.budget.stage or finding.budget.phase
    return f"{nodeid.partition('::')[0]} {finding.budget.metric} {part} {about}"


def traced_line(suspects: Suspects) -> list[str]:
    """The line at the start of a run about the tests that it traces; none without any."""
    count = len(suspects.traced)
    if not count:
        return []
    tests = "1 test is" if count == 1 else f"{count} tests are"
    return [
        f"memguard: {tests} traced in this run, because of the last one (--mem-explain=next)"
    ]


class TracedLine:
    """Says at the start of a run how many tests it traces.

    Args:
        suspects: the tests.
    """

    def __init__(self, suspects: Suspects) -> None:
        self._suspects = suspects

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say so below the number of tests."""
        return traced_line(self._suspects)


def _is_accepted(finding: Finding) -> bool:
    """Whether it is a regression that has failed no test."""
    return finding.rule == "regression" and not finding.raised


def leaves_question(finding: Finding) -> bool:
    """Whether a finding is one that the exact tracker could explain or decide."""
    peak, metric = finding.peak, metric_named(finding.budget.metric)
    if peak is None or not metric.has_lines or metric.is_traced:
        return False
    if (
        finding.cause is not None
    ):  # the test that explains it is traced at once, or the next time
        return not finding.sites and not finding.cause.first and finding.rule == "regression"
    if finding.rule == "undecided" and finding.budget.baseline_value is None:
        # a breach that a fresh process has not confirmed is decided as far as it can be
        tolerance = metric.tolerance(finding.budget.limit)
        return peak.value <= finding.budget.limit + tolerance
    return finding.rule in BREACHES or finding.rule == "undecided"
