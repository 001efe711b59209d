"""Tests whose last run left a question: remembered, so that the next run traces them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import filterfalse
from typing import Final

import pytest

from pytest_memguard.metrics import metric_named
from pytest_memguard.model import BREACHES, Finding, Outcome

_CACHE_KEY: Final = "memguard/suspects"
_FORMAT: Final = 1
_MOST_REMEMBERED: Final = 1000


class Suspects:
    """Tests whose last run left a question that only the exact tracker answers.

    They are kept in pytest's cache, so that the next run measures them under memray from
    the start; a test is forgotten once it stays within its budgets.

    Args:
        cache: pytest's; ``None`` where it is switched off.
    """

    def __init__(self, cache: pytest.Cache | None) -> None:
        self._cache = cache
        stored = cache.get(_CACHE_KEY, None) if cache is not None else None
        self._known: set[str] = set()
        if isinstance(stored, Mapping) and stored.get("format") == _FORMAT:
            tests = stored.get("tests")
            if isinstance(tests, list):
                self._known = {test for test in tests if isinstance(test, str)}

    @property
    def can_remember(self) -> bool:
        """Whether there is a cache to remember with."""
        return self._cache is not None

    def __bool__(self) -> bool:
        return bool(self._known)

    def __contains__(self, nodeid: object) -> bool:
        return nodeid in self._known

    def update(self, outcomes: Iterable[Outcome]) -> None:
        """Remember the tests with an open question, forget those without; store the rest."""
        known = set(self._known)
        for outcome in outcomes:
            if any(map(leaves_question, filterfalse(_is_accepted, outcome.findings))):
                known.add(outcome.nodeid)
            elif outcome.phase("call") is not None:
                known.discard(outcome.nodeid)
        if known != self._known and self._cache is not None:
            tests = sorted(known)[:_MOST_REMEMBERED]
            self._cache.set(_CACHE_KEY, {"format": _FORMAT, "tests": tests})
        self._known = known


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
    return finding.rule in BREACHES or finding.rule == "undecided"
