"""How a breach gets its allocation lines: remembered for the next run, or run again at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import filterfalse
from typing import Any, Final

import pytest

from pytest_memguard.metrics import metric_named
from pytest_memguard.model import BREACHES, PHASES, Finding, Outcome, PhaseName

_CACHE_KEY: Final = "memguard/suspects"
_FORMAT: Final = 1
_MOST_REMEMBERED: Final = 1000
RERUN_SECONDS: Final = 30.0


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
    asks = finding.rule in BREACHES or finding.rule == "undecided"
    metric = metric_named(finding.budget.metric)
    return asks and finding.peak is not None and metric.has_lines and not metric.is_traced


def rerun(
    item: pytest.Item,
    phase: PhaseName,
    measure_again: Callable[[], Callable[[], Any]],
    seconds: float,
) -> tuple[Any, str]:
    """Run a test once more, in a forked child, with fresh function-scoped fixtures.

    The child tears nothing down, neither before nor after: what a fixture would remove or
    stop is still in use here.

    Args:
        item: the test; it is in the middle of a phase.
        phase: that phase; the child stops after it.
        measure_again: called in the child; prepares the measurement of the second run, and
            returns a function that gives its answer.
        seconds: time limit.

    Returns:
        The answer and, where there is none, the reason.
    """
    from pytest_memguard.isolation import run_in_fork
    from pytest_memguard.plugin.pytest_internals.items import forget_function_scope
    from pytest_memguard.plugin.pytest_internals.running import call_and_report

    def second_run() -> Any:
        answer = measure_again()
        forget_function_scope(item)
        for name in PHASES[: PHASES.index(phase) + 1]:
            if call_and_report(item, name, log=False).failed and name != phase:
                break
        return answer()

    try:
        result = run_in_fork(second_run, seconds)
    except OSError as error:
        return None, str(error)
    return result.value, result.problem
