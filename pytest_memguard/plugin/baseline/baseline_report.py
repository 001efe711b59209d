"""The baseline's half of the report: what changed, and what is stored of it."""

from __future__ import annotations

from typing import Final

import pytest

from pytest_memguard.checks.globs import matcher
from pytest_memguard.checks.regression.comparison import Comparison
from pytest_memguard.checks.regression.saving import Saver, is_here
from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.cold_and_warm import NOTABLE
from pytest_memguard.judge.readings import environment_key
from pytest_memguard.measure.gaps import NO_MARK
from pytest_memguard.model.cause_groups import cause_groups
from pytest_memguard.model.results import Run
from pytest_memguard.options.rules import closest
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.baseline.records import Record, other_environment
from pytest_memguard.plugin.baseline.scope import Scope
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.fresh.fresh_regressions import KEY, FreshRegressions
from pytest_memguard.plugin.loaded_libraries import LoadedLibraries
from pytest_memguard.report.cause_lines import cause_lines
from pytest_memguard.sizes import format_size

_RAN_THROUGH: Final = frozenset({pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED})
_FAIL_IF_STRICT: Final = ("undecided", "gone")
_SAMPLED: Final = "peaks were sampled here: a regression that lasts a moment may be missed"


class BaselineReport:
    """Compares and stores in the process that talks to the user.

    Args:
        collector: has every outcome.
        settings: the settings of the run.
        scope: knows which tests there are.
        record: what is on record, and where it is kept.
        confirm: measures tests again, if any does.
        loaded: knows the libraries that the tests have loaded.
    """

    def __init__(
        self,
        collector: Collector,
        settings: Settings,
        scope: Scope,
        record: Record,
        confirm: FreshRegressions | None,
        loaded: LoadedLibraries,
    ) -> None:
        self._loaded = loaded
        self._confirm = confirm
        self._measured_again, self._seconds_again = 0, 0.0
        self._collector = collector
        self._settings = settings
        self._scope = scope
        self._old = record.old
        self._file = record.shown(record.compared)
        self._root = str(record.root)
        stores = settings.saves or bool(settings.accept)
        path = record.saved
        file = record.shown(path)
        cold = confirm is not None
        self._saver = Saver(settings, path, file, self._root, cold=cold) if stores else None
        self._lines: list[str] = []

    def pytest_report_header(self) -> list[str]:
        """Say what takes longer than a plain run."""
        if self._confirm is None or self._saver is None:
            return []
        size = format_size(NOTABLE)
        line = (
            f"memguard: tests above {size} are run twice more for the baseline, in a fresh "
            "process, and those that leave as much behind in all once more, together "
            "(--mem-confirm)"
        )
        return [line]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, then store; nothing where no test has been run."""
        if session.config.getoption("collectonly") or not self._collector.tests:
            return
        run = self._collector.run()
        part = self._scope.partial()
        if session.exitstatus not in _RAN_THROUGH or session.shouldstop or session.shouldfail:
            part = part or "the run was cut short"
        gone = frozenset() if part else self._gone(run)
        if self._settings.compares:
            self._compare(run, gone, session)
        for glob in self._settings.accept:
            matches = matcher(glob)
            if not any(matches(outcome.nodeid) for outcome in run.outcomes):
                line = f"--mem-accept {glob}: no test of this run matches it"
                self._lines.append(one_line(line))
        if self._saver is not None:
            try:
                libraries = self._loaded.names()
                shared = self._confirm.shared_fills if self._confirm is not None else None
                fills, gaps = (shared.fills(), shared.gaps) if shared is not None else ((), ())
                self._lines += self._saver.save(run, gone, part, libraries, fills, gaps)
            except (OSError, ConfigError) as error:
                self._lines.append(one_line(f"nothing was saved: {error}"))
                _fail(session)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Add what a worker has measured again."""
        count, seconds = getattr(node, "workeroutput", {}).get(KEY, (0, 0.0))
        self._count_again(count, seconds)

    def _count_again(self, count: int, seconds: float) -> None:
        self._measured_again += count
        self._seconds_again += seconds

    def _again_in_words(self) -> list[str]:
        """How many tests were measured again, and how long that took."""
        parts = []
        if self._confirm is not None:
            shared = self._confirm.shared_fills
            self._count_again(self._confirm.count, self._confirm.seconds + shared.seconds)
            many = f"{shared.tests:,} tests once more, together"
            again = "1 test once more" if shared.tests == 1 else many
            parts += [again] if shared.tests else []
        if self._measured_again:
            again = "once" if self._measured_again == 1 else f"{self._measured_again:,} times"
            parts.insert(0, again)
        if not parts:
            return []
        from pytest_memguard.report.table import format_seconds

        took = format_seconds(self._seconds_again)
        words = ", ".join((*parts, took))
        return [f"measured again in a fresh process: {words} (--mem-confirm)"]

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the section."""
        self._lines += self._again_in_words()
        if self._lines:
            terminalreporter.write_sep("=", "baseline")
            for line in self._lines:
                terminalreporter.write_line(line)

    def _gone(self, run: Run) -> frozenset[str]:
        """Tests on record here that no longer exist."""
        stored = self._old.environments.items() if self._old is not None else ()
        present = self._scope.present
        absent = {
            nodeid
            for environment, tests in stored
            if is_here(environment, run.environment)
            for nodeid in tests
            if nodeid not in present
        }
        if absent:
            absent.difference_update(outcome.nodeid for outcome in run.outcomes)
        return frozenset(n for n in absent if self._scope.covers(n))

    def _compare(self, run: Run, gone: frozenset[str], session: pytest.Session) -> None:
        here = environment_key(run.environment)
        if self._old is None:
            self._lines.append(
                f"nothing to compare with: there is no {self._file} (--mem-save writes it)"
            )
            return
        if here not in self._old.environments:
            self._lines.append(one_line(other_environment(self._file, self._old, here)))
            return
        accepts = [matcher(glob) for glob in self._settings.accept]
        comparison = Comparison(
            self._old,
            closest(self._settings.fail_on),
            self._root,
            lambda nodeid: any(matches(nodeid) for matches in accepts),
        )
        comparison.add_run(run)
        comparison.add_gone(gone)
        shared = cause_groups(self._collector.detailed())
        causes = f" of {_causes(len(shared))}" if comparison.regressions > 1 and shared else ""
        self._lines.append(f"compared with {self._file}: {comparison.counts(causes)}")
        self._lines += cause_lines(shared)
        self._lines += [_SAMPLED for gap in self._collector.gaps if gap.subject == NO_MARK][:1]
        groups = comparison.groups
        for kind, changes in groups.items():
            self._lines += map(one_line, changes.lines(kind))
            if self._saver is None and kind in {"new", "improvement"}:
                what = "what is new" if kind == "new" else "what has become better"
                self._lines.append(f"--mem-save stores {what}")
        failing = [kind for kind in _FAIL_IF_STRICT if groups.get(kind)]
        for kind in failing if self._settings.strict else ():
            self._lines.append(f"tests that are {kind} fail the run (--mem-strict)")
            _fail(session)


def _causes(number: int) -> str:
    return "1 cause" if number == 1 else f"{number:,} causes"


def _fail(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
