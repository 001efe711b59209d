"""Stores the numbers of a run in the baseline, and reports what changed there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from pathlib import Path
from typing import Final

from pytest_memguard.checks.globs import matcher
from pytest_memguard.judge.cold_and_warm import joined_fills
from pytest_memguard.judge.merging import merged
from pytest_memguard.judge.readings import by_test, environment_key, pooled_entries
from pytest_memguard.judge.regression import gone_change, judge_entry
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    Change,
    EnvironmentKey,
    FailRule,
    Fill,
)
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Environment, Outcome, Run
from pytest_memguard.options.rules import closest
from pytest_memguard.options.settings import Settings
from pytest_memguard.sizes import KIB, format_mib
from pytest_memguard.storage.baseline import update_baseline
from pytest_memguard.values import dataclass

_SHOWN: Final = 40
_LARGEST: Final = 10
_LEAST_SHOWN: Final = 64 * KIB
"""Peaks that a table shows as 0.0 MiB are no news."""
_HEADERS: Final = ("Peak MiB", "Cold MiB", "Test")


_NOT_TOGETHER: Final = (
    "what several tests fill together is not on record, so a test that fills it alone will be "
    "undecided"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What the tests of a run fill, each a part of it."""

    fills: Sequence[Fill]
    """It, the largest first."""
    is_known: bool
    """Whether all tests that left something behind were run once more for it."""


class Saver:
    """Stores what passed.

    Args:
        settings: the settings of the run.
        path: the file.
        file: what a message calls it.
        root: folder that paths of lines are made relative to.
        cold: whether notable tests are measured cold as well.
    """

    def __init__(
        self, settings: Settings, path: Path, file: str, root: str, *, cold: bool
    ) -> None:
        self._path = path
        self._cold = cold
        self._file = file
        self._root = root
        self._all = settings.saves
        self._rules = closest(settings.fail_on)
        self._prune = settings.prune
        self._accepts = [matcher(glob) for glob in settings.accept]

    def save(
        self,
        run: Run,
        gone: frozenset[str],
        part: str,
        libraries: frozenset[str],
        fills: Sequence[Fill] = (),
        gaps: Sequence[str] = (),
    ) -> list[str]:
        """Store, and report what changed.

        Args:
            run: the whole run; its outcomes are sorted by node id.
            gone: tests on record that no longer exist.
            part: why it is not known which those are; empty if it is known.
            libraries: those that the run has loaded.
            fills: what its tests fill together.
            gaps: why that is not known of all of them; empty if it is.

        Returns:
            Lines for the report.

        Raises:
            OSError: if the file cannot be written.
            ConfigError: if it is none of ours by now.
        """
        before: Baseline | None = None
        tests = 0

        def change(found: Baseline | None) -> Baseline:
            nonlocal before, tests
            before = found
            together = Together(fills=fills, is_known=self._cold and not gaps)
            changed, tests = self._changed(found, run, gone, libraries, together)
            return changed

        after = update_baseline(self._path, change)
        lines = self._lines(before, after, tests)
        lines += [f"{_NOT_TOGETHER}: {gap}" for gap in gaps[:1]]
        if self._prune and part:
            lines.append(f"--mem-prune dropped nothing: {part}")
        elif gone and not self._prune:
            many = "1 test" if len(gone) == 1 else f"{len(gone):,} tests"
            lines.append(f"{many} on record no longer exist (--mem-prune drops them)")
        return lines

    def _lines(self, before: Baseline | None, after: Baseline, tests: int) -> list[str]:
        from pytest_memguard.report.changes import changes_table

        kinds: Counter[str] = Counter()

        def counted() -> Iterator[Change]:
            for change in _differences(before, after, self._rules):
                kinds[change.kind] += 1
                yield change

        table = changes_table(counted(), _SHOWN)
        if before is None:
            table = _largest(after)
        cold = _cold_in_words(before, after)
        many = "1 test" if tests == 1 else f"{tests:,} tests"
        if not kinds:
            return [f"saved in {self._file}: {many}, as on record before{cold}"]
        new, dropped = kinds["new"], kinds["gone"]
        changed = kinds.total() - new - dropped
        counts = f"{new:,} new, {changed:,} changed, {dropped:,} dropped"
        line = f"saved in {self._file}: {many}; entries: {counts}{cold}"
        return [line, *filter(None, [table])]

    def _changed(
        self,
        before: Baseline | None,
        run: Run,
        gone: frozenset[str],
        libraries: frozenset[str],
        together: Together,
    ) -> tuple[Baseline, int]:
        """What shall be on record, and how many tests of the run have numbers."""
        environments: dict[EnvironmentKey, Mapping[str, BaselineEntry]] = dict(
            before.environments if before else {}
        )
        changed: dict[EnvironmentKey, dict[str, BaselineEntry]] = {}
        # many tests have the same numbers, which are rounded: one entry for all of these
        shared: dict[BaselineEntry, BaselineEntry] = {}
        tests = 0
        measured: dict[EnvironmentKey, set[str]] = {}
        for nodeid, several in by_test(run.outcomes):
            found = pooled_entries(several, self._root)
            tests += bool(found)
            accepted = any(matches(nodeid) for matches in self._accepts)
            if not accepted and (not self._all or _has_findings(several)):
                continue
            for metric, entry in found.items():
                environment = environment_key(run.environment, metric)
                if environment not in changed:
                    changed[environment] = dict(environments.get(environment, {}))
                stored = changed[environment]
                store = _accepted if accepted else merged
                new = store(stored.get(nodeid), entry, metric)
                stored[nodeid] = shared.setdefault(new, new)
                measured.setdefault(environment, set()).add(nodeid)
        environments.update(changed)
        if self._prune:
            for environment, entries in environments.items():
                if is_here(environment, run.environment):
                    environments[environment] = {
                        n: e for n, e in entries.items() if n not in gone
                    }
        after = self._marked(before or Baseline(), environments, measured, libraries, together)
        return after, tests

    def _marked(
        self,
        before: Baseline,
        environments: Mapping[EnvironmentKey, Mapping[str, BaselineEntry]],
        measured: Mapping[EnvironmentKey, set[str]],
        libraries: frozenset[str],
        together: Together,
    ) -> Baseline:
        """Return what shall be on record, with what is known of all tests of an environment."""
        cold, loaded = set(before.measured_cold), dict(before.loaded)
        filled, whole = dict(before.filled), set(before.measured_together)
        for environment, nodeids in measured.items():
            is_whole = nodeids.issuperset(environments[environment])
            was_cold = environment in cold or is_whole
            (cold.add if self._cold and was_cold else cold.discard)(environment)
            if environment.metric != RSS.name:
                continue
            has_new_tests = not before.environments.get(environment, {}).keys() >= nodeids
            filled[environment] = joined_fills(
                () if is_whole else filled.get(environment, ()),
                together.fills,
                has_new_tests=has_new_tests,
            )
            if is_whole and together.is_known:
                whole.add(environment)
            elif has_new_tests and not together.is_known:
                whole.discard(environment)
            if is_whole:
                loaded[environment] = libraries
            elif environment in loaded:
                loaded[environment] |= libraries
        return Baseline(
            environments=environments,
            measured_cold=frozenset(cold),
            loaded=loaded,
            filled=filled,
            measured_together=frozenset(whole),
        )


def _largest(saved: Baseline) -> str:
    """The tests with the largest peaks of a baseline that did not exist before."""
    from pytest_memguard.report.columns import filled_columns, narrow_table

    entries = (
        (entry, nodeid)
        for environment, tests in saved.environments.items()
        if environment.metric == RSS.name
        for nodeid, entry in tests.items()
    )
    shown = nsmallest(
        _LARGEST, entries, key=lambda one: (-max(one[0].peak, one[0].cold), one[1])
    )
    rows = [
        [format_mib(entry.peak), format_mib(entry.cold), nodeid]
        for entry, nodeid in shown
        if max(entry.peak, entry.cold) >= _LEAST_SHOWN
    ]
    if not rows:
        return ""
    kept = filled_columns(_HEADERS, rows, ("Peak MiB", "Test"))
    cells = [[row[number] for number in kept] for row in rows]
    return "\n".join(narrow_table([_HEADERS[number] for number in kept], cells))


def _cold_in_words(before: Baseline | None, after: Baseline) -> str:
    """Of how many tests the cold peak is new or another one."""
    old = before.environments if before is not None else {}
    changed = sum(
        known is None or known.cold != entry.cold
        for environment, tests in after.environments.items()
        for nodeid, entry in tests.items()
        if entry.cold or old.get(environment, {}).get(nodeid, entry).cold
        for known in [old.get(environment, {}).get(nodeid)]
    )
    many = "1 test" if changed == 1 else f"{changed:,} tests"
    return f"; cold peak of {many}" if changed else ""


def _has_findings(several: Sequence[Outcome]) -> bool:
    """Whether the comparison found anything of a test, which is then not stored."""
    return any(
        finding.budget.baseline_value is not None
        for outcome in several
        for finding in outcome.findings
    )


def _differences(
    before: Baseline | None, after: Baseline, rules: Sequence[FailRule]
) -> Iterator[Change]:
    """Every test whose entry is another one now, with its peak before and after."""
    old = before.environments if before is not None else {}
    for environment, tests in sorted(
        after.environments.items(), key=lambda item: item[0].metric
    ):
        was = old.get(environment, {})
        for nodeid, entry in tests.items():
            known = was.get(nodeid)
            if known is None or known.peak != entry.peak:
                yield judge_entry(nodeid, environment, known, entry, rules)[0]
    for environment, tests in sorted(old.items(), key=lambda item: item[0].metric):
        now = after.environments.get(environment, {})
        for nodeid, entry in tests.items():
            if nodeid not in now:
                yield gone_change(nodeid, environment, entry)


def _accepted(before: BaselineEntry | None, now: BaselineEntry, metric: str) -> BaselineEntry:
    """What is stored of an accepted test: what it uses now, whatever was."""
    entry = merged(None, now, metric)
    if entry.leak is None and before is not None:
        return replace(entry, leak=before.leak)
    return entry


def is_here(key: EnvironmentKey, environment: Environment) -> bool:
    """Whether a key is that of a run, whichever metric was counted."""
    return replace(key, metric=RSS.name) == environment_key(environment)
