"""Stores the numbers of a run in the baseline, and tells what changed there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_memguard.baselines import Baseline, Change, Entry, FailRule, Place
from pytest_memguard.judge.merging import merged
from pytest_memguard.judge.readings import place_of
from pytest_memguard.judge.regression import judge_entry
from pytest_memguard.model import Environment, Run
from pytest_memguard.plugin.globs import matcher
from pytest_memguard.rules import closest
from pytest_memguard.settings import Settings
from pytest_memguard.storage.baseline import update_baseline

_SHOWN: Final = 40


class Saver:
    """Stores what passed.

    Args:
        settings: the run's.
        path: the file.
        file: what a message calls it.
    """

    def __init__(self, settings: Settings, path: Path, file: str) -> None:
        self._path = path
        self._file = file
        self._all = settings.saves
        self._rules = closest(settings.fail_on)
        self._prune = settings.prune
        self._accepts = [matcher(glob) for glob in settings.accept]

    def save(self, run: Run, now: Baseline, gone: frozenset[str], part: str) -> list[str]:
        """Store, and tell what changed.

        Args:
            run: the whole run.
            now: its numbers.
            gone: tests on record that no longer exist.
            part: why nobody can tell which those are; empty if somebody can.

        Returns:
            Lines for the report.

        Raises:
            OSError: if the file cannot be written.
            ConfigError: if it is none of ours by now.
        """
        found: list[Baseline | None] = []

        def change(before: Baseline | None) -> Baseline:
            found.append(before)
            return self._changed(before, run, now, gone)

        after = update_baseline(self._path, change)
        told = self._told(found[-1], after, now)
        if self._prune and part:
            told.append(f"--mem-prune dropped nothing: {part}")
        elif gone and not self._prune:
            many = "1 test" if len(gone) == 1 else f"{len(gone):,} tests"
            told.append(f"{many} on record no longer exist (--mem-prune drops them)")
        return told

    def _told(self, before: Baseline | None, after: Baseline, now: Baseline) -> list[str]:
        from pytest_memguard.report.changes import changes_table

        changes = _differences(before, after, self._rules)
        tests = {nodeid for of_tests in now.places.values() for nodeid in of_tests}
        many = "1 test" if len(tests) == 1 else f"{len(tests):,} tests"
        if not changes:
            return [f"saved in {self._file}: {many}, as on record before"]
        new = sum(1 for change in changes if change.kind == "new")
        dropped = sum(1 for change in changes if change.kind == "gone")
        counts = f"{new:,} new, {len(changes) - new - dropped:,} changed, {dropped:,} dropped"
        line = f"saved in {self._file}: {many}; entries: {counts}"
        return [line, *filter(None, [changes_table(changes, _SHOWN)])]

    def _changed(
        self, before: Baseline | None, run: Run, now: Baseline, gone: frozenset[str]
    ) -> Baseline:
        places: dict[Place, Mapping[str, Entry]] = dict(before.places if before else {})
        unsure = {
            outcome.nodeid
            for outcome in run.outcomes
            if any(finding.budget.former is not None for finding in outcome.findings)
        }
        for place, tests in now.places.items():
            stored = dict(places.get(place, {}))
            for nodeid, entry in tests.items():
                if any(matches(nodeid) for matches in self._accepts):
                    stored[nodeid] = _accepted(stored.get(nodeid), entry, place.metric)
                elif self._all and nodeid not in unsure:
                    stored[nodeid] = merged(stored.get(nodeid), entry, place.metric)
            if stored:
                places[place] = stored
        if self._prune:
            for place, tests in places.items():
                if is_here(place, run.environment):
                    places[place] = {n: e for n, e in tests.items() if n not in gone}
        return Baseline(places=places)


def _differences(
    before: Baseline | None, after: Baseline, rules: Sequence[FailRule]
) -> list[Change]:
    """Every test whose entry is another one now, with its peak before and after."""
    old = before.places if before is not None else {}
    changes: list[Change] = []
    for place, tests in after.places.items():
        was = old.get(place, {})
        for nodeid, entry in tests.items():
            known = was.get(nodeid)
            if known is None or known.peak != entry.peak:
                changes += judge_entry(nodeid, place, known, entry, rules)[:1]
    for place, tests in old.items():
        now = after.places.get(place, {})
        changes += [
            Change(kind="gone", nodeid=nodeid, place=place, before=entry.peak)
            for nodeid, entry in tests.items()
            if nodeid not in now
        ]
    return sorted(changes, key=lambda change: (change.nodeid, change.place.metric))


def _accepted(before: Entry | None, now: Entry, metric: str) -> Entry:
    """What is stored of an accepted test: what it uses now, whatever was."""
    entry = merged(None, now, metric)
    if entry.leak is None and before is not None:
        return replace(entry, leak=before.leak)
    return entry


def is_here(place: Place, environment: Environment) -> bool:
    """Whether a place is that of a run, whichever metric was counted."""
    return replace(place, metric="rss") == place_of(environment)
