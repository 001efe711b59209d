"""The baseline's half of the report: what changed, and what is stored of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from pytest_memguard.baselines import Baseline, Change
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.readings import place_of, readings
from pytest_memguard.judge.regression import compare
from pytest_memguard.model import Outcome, Run
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.globs import matcher
from pytest_memguard.plugin.records import Record, other_environment
from pytest_memguard.plugin.regressions import ACCEPTED
from pytest_memguard.plugin.saving import Saver, is_here
from pytest_memguard.plugin.scope import Scope
from pytest_memguard.recording.instruments import NO_MARK
from pytest_memguard.rules import closest
from pytest_memguard.settings import Settings

_SHOWN: Final = 20
_RAN_THROUGH: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED})
_COUNTED: Final = {
    "regression": ("1 regression", "{:,} regressions"),
    "accepted": ("1 accepted", "{:,} accepted"),
    "unsure": ("1 unsure", "{:,} unsure"),
    "improvement": ("1 improvement", "{:,} improvements"),
    "new": ("1 new", "{:,} new"),
    "gone": ("1 gone", "{:,} gone"),
    "same": ("1 as before", "{:,} as before"),
    "allowed": ("1 above, as its own rules allow", "{:,} above, as their own rules allow"),
    "": ("1 not compared", "{:,} not compared"),
}
_SAMPLED: Final = "peaks were sampled here: a regression that lasts a moment may be missed"
_TOLD: Final = {"new", "improvement", "gone"}
_UNSAID: Final = {"regression": "allowed"}
"""What a change means that the test itself had nothing to say about while it ran."""


class BaselineReport:
    """Compares and stores in the process that talks to the user.

    Args:
        collector: has every outcome.
        settings: the run's.
        scope: knows which tests there are.
        record: what is on record, and where it is kept.
    """

    def __init__(
        self, collector: Collector, settings: Settings, scope: Scope, record: Record
    ) -> None:
        self._collector = collector
        self._settings = settings
        self._scope = scope
        self._old = record.old
        self._file = record.shown(record.compared)
        self._root = str(record.root)
        stores = settings.saves or bool(settings.accept)
        path = record.saved
        self._saver = Saver(settings, path, record.shown(path)) if stores else None
        self._lines: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, then store; nothing where no test has been run."""
        if session.config.getoption("collectonly") or not self._collector.outcomes():
            return
        run = self._collector.run()
        now = readings(run, self._root)
        part = self._scope.partial()
        if session.exitstatus not in _RAN_THROUGH or session.shouldstop or session.shouldfail:
            part = part or "the run was cut short"
        gone = frozenset() if part else self._gone(run)
        if self._settings.compares:
            self._compare(run, now, gone, session)
        for glob in self._settings.accept:
            matches = matcher(glob)
            if not any(matches(outcome.nodeid) for outcome in run.outcomes):
                line = f"--mem-accept {glob}: no test of this run matches it"
                self._lines.append(one_line(line))
        if self._saver is not None:
            try:
                self._lines += self._saver.save(run, now, gone, part)
            except (OSError, ConfigError) as error:
                self._lines.append(one_line(f"nothing was saved: {error}"))
                _fail(session)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the section."""
        if self._lines:
            terminalreporter.write_sep("=", "baseline")
            for line in self._lines:
                terminalreporter.write_line(line)

    def _gone(self, run: Run) -> frozenset[str]:
        """Tests on record here that no longer exist."""
        stored = self._old.places.items() if self._old is not None else ()
        known = {
            nodeid
            for place, tests in stored
            if is_here(place, run.environment)
            for nodeid in tests
        }
        present = self._scope.present | {outcome.nodeid for outcome in run.outcomes}
        return frozenset(n for n in known - present if self._scope.covers(n))

    def _compare(
        self, run: Run, now: Baseline, gone: frozenset[str], session: pytest.Session
    ) -> None:
        here = place_of(run.environment)
        if self._old is None:
            self._lines.append(
                f"nothing to compare with: there is no {self._file} (--mem-save writes it)"
            )
            return
        if here not in self._old.places:
            self._lines.append(one_line(other_environment(self._file, self._old, here)))
            return
        rules = closest(self._settings.fail_on)
        changes = compare(self._old, now, rules, self._scope.present)
        kinds = {n: _verdict(outcome) for outcome in run.outcomes if (n := outcome.nodeid)}
        told: dict[str, list[Change]] = {}
        for change in changes:
            if change.kind == "gone" and change.nodeid not in gone:
                continue
            said = kinds.get(change.nodeid, "")
            if change.kind in _TOLD and change.subject == "peak":
                told.setdefault(change.kind, []).append(change)
                kinds[change.nodeid] = said or change.kind
            elif said in {"", "same"} and _hidden_by_record(change):
                told.setdefault(change.kind, []).append(change)
                kinds[change.nodeid] = change.kind
            elif not said:
                kinds[change.nodeid] = _UNSAID.get(change.kind, "same")
        counts = Counter(kinds.values())
        parts = [
            one if counts[kind] == 1 else many.format(counts[kind])
            for kind, (one, many) in _COUNTED.items()
            if counts[kind]
        ]
        self._lines.append(f"compared with {self._file}: {', '.join(parts)}")
        self._lines += [_SAMPLED for gap in self._collector.gaps if gap.subject == NO_MARK][:1]
        for kind, found in told.items():
            self._tell(kind, found)
        if told.get("gone") and self._settings.strict:
            self._lines.append("tests that are gone fail the run (--mem-strict)")
            _fail(session)

    def _tell(self, kind: str, found: list[Change]) -> None:
        told = (f"{kind}: {c.nodeid}: {c.text}" for c in found[:_SHOWN])
        self._lines += map(one_line, told)
        if len(found) > _SHOWN:
            self._lines.append(f"{kind}: ... and {len(found) - _SHOWN:,} more")
        if self._saver is None and kind in {"new", "improvement"}:
            what = "what is new" if kind == "new" else "what has become better"
            self._lines.append(f"--mem-save stores {what}")


def _verdict(outcome: Outcome) -> str:
    """What the comparison made of a test while it ran; empty if it had nothing to say."""
    found = [f for f in outcome.findings if f.budget.former is not None]
    if any(f.raised for f in found):
        return "regression"
    if any(f.text.endswith(ACCEPTED) for f in found):
        return "accepted"
    return "unsure" if found else ""


def _hidden_by_record(change: Change) -> bool:
    """Whether only the upper bound on record lets a reading pass; the test cannot know."""
    return change.kind == "unsure" and change.before < change.now <= change.allowed


def _fail(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
