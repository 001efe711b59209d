"""Compares the tests of a run with the baseline: counts them, and keeps the first of a kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Final

from pytest_memguard.judge.readings import by_test, environment_key, pooled_entries
from pytest_memguard.judge.regression import gone_change, judge_entry
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    Change,
    EnvironmentKey,
    FailRule,
)
from pytest_memguard.model.results import Outcome, Run

_SHOWN: Final = 20
_COUNTED: Final = {
    "regression": ("1 regression", "{:,} regressions"),
    "accepted": ("1 accepted", "{:,} accepted"),
    "undecided": ("1 undecided", "{:,} undecided"),
    "known-fill": (
        "1 fills what another test had filled",
        "{:,} fill what other tests had filled",
    ),
    "improvement": ("1 improvement", "{:,} improvements"),
    "new": ("1 new", "{:,} new"),
    "gone": ("1 gone", "{:,} gone"),
    "same": ("1 as before", "{:,} as before"),
    "allowed": ("1 above, as its own rules allow", "{:,} above, as their own rules allow"),
    "": ("1 not compared", "{:,} not compared"),
}
_ACCEPTABLE: Final = {"regression", "undecided"}
_LISTED: Final = {"new", "improvement"}
_WITHOUT_FINDING: Final = {"regression": "allowed"}
"""What a change means that the test itself had nothing to say about while it ran."""


class ChangeGroup:
    """Changes of one kind: how many there are, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Change] = []

    def add(self, change: Change) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(change)

    def lines(self, kind: str) -> Iterator[str]:
        """A line for each that was kept, and one for the others.

        Args:
            kind: what the lines call them.
        """
        for change in self.first:
            yield f"{kind}: {change.nodeid}: {change.text}"
        if self.count > len(self.first):
            yield f"{kind}: ... and {self.count - len(self.first):,} more"


class Comparison:
    """What the tests of a run have become since the baseline was saved.

    Args:
        old: the baseline.
        rules: how much worse is too much.
        root: folder that paths of lines are made relative to.
        accepted: whether a test may use what it uses now.
    """

    def __init__(
        self,
        old: Baseline,
        rules: Sequence[FailRule],
        root: str,
        accepted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._old = old
        self._rules = rules
        self._root = root
        self._accepted = accepted
        self._counts: Counter[str] = Counter()
        self._groups: dict[str, ChangeGroup] = {}
        self._environments: dict[str, EnvironmentKey] = {}

    def add_run(self, run: Run) -> None:
        """Compare every test of a run, one at a time.

        Args:
            run: its outcomes are sorted by node id.
        """
        for nodeid, several in by_test(run.outcomes):
            found = pooled_entries(several, self._root)
            for metric in found:
                if metric not in self._environments:
                    self._environments[metric] = environment_key(run.environment, metric)
            kind = self._verdict(several[-1])
            self._counts[kind or self._judged(nodeid, found)] += 1

    def add_gone(self, gone: Container[str]) -> None:
        """Count the tests that no longer exist, where this run measured any.

        Args:
            gone: their node ids.
        """
        changes = [
            gone_change(nodeid, environment, entry)
            for environment in self._environments.values()
            for nodeid, entry in self._old.environments.get(environment, {}).items()
            if nodeid in gone
        ]
        for change in sorted(changes, key=lambda change: change.nodeid):
            self._list("gone", change)
        self._counts["gone"] += len({change.nodeid for change in changes})

    @property
    def groups(self) -> dict[str, ChangeGroup]:
        """What is reported test by test, by kind; the kind of the first test comes first."""
        kinds = sorted(self._groups.items(), key=lambda item: item[1].first[0].nodeid)
        return dict(kinds)

    @property
    def regressions(self) -> int:
        """How many tests are regressions."""
        return self._counts["regression"]

    def counts(self, causes: str = "") -> str:
        """How many tests there are of each kind.

        Args:
            causes: stands behind the number of regressions.
        """
        counts = self._counts
        return ", ".join(
            (one if counts[kind] == 1 else many.format(counts[kind]))
            + (causes if kind == "regression" else "")
            for kind, (one, many) in _COUNTED.items()
            if counts[kind]
        )

    def _verdict(self, outcome: Outcome) -> str:
        """What the comparison made of a test while it ran; empty if it had nothing to say."""
        found = [f for f in outcome.findings if f.budget.baseline_value is not None]
        if any(f.raised for f in found):
            return "regression"
        if any(f.rule in _ACCEPTABLE for f in found) and self._accepted(outcome.nodeid):
            return "accepted"
        if found and all(f.rule == "known-fill" for f in found):
            return "known-fill"
        return "undecided" if found else ""

    def _judged(self, nodeid: str, found: Mapping[str, BaselineEntry]) -> str:
        """What a test counts as that had nothing to say while it ran.

        Args:
            nodeid: the test.
            found: its numbers.
        """
        kind = ""
        for metric, now in found.items():
            environment = self._environments[metric]
            before = self._old.environments.get(environment, {}).get(nodeid)
            for change in judge_entry(nodeid, environment, before, now, self._rules):
                kind = self._add(change, kind)
        return kind

    def _add(self, change: Change, kind: str) -> str:
        """Add one change; what the test counts as then.

        Args:
            change: of the test.
            kind: what it counts as so far.
        """
        if change.kind in _LISTED and change.subject == "peak":
            self._list(change.kind, change)
            return kind or change.kind
        return kind or _WITHOUT_FINDING.get(change.kind, "same")

    def _list(self, kind: str, change: Change) -> None:
        self._groups.setdefault(kind, ChangeGroup()).add(change)
