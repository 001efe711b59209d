"""Collects the results of tests in the process that prints, and reports them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_memguard.model.alerts import Alert
from pytest_memguard.model.flights import LostWorker
from pytest_memguard.model.measurements import MarkedPhaseNumbers
from pytest_memguard.model.results import Gap, Outcome, Outcomes, Run, Totals
from pytest_memguard.model.totals import totals
from pytest_memguard.option_table import OPTIONS
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.foreign_reports import UntilFork
from pytest_memguard.plugin.fresh.extra_measurements import ExtraMeasurements
from pytest_memguard.plugin.header import header, in_words
from pytest_memguard.plugin.keys import ABORT, ALERTS, LOST, PARALLEL
from pytest_memguard.plugin.options import GAPS, usage_error
from pytest_memguard.plugin.suspects import Suspects
from pytest_memguard.storage.result_store import ResultStore


class Collector:
    """Collects the outcomes of all tests, and renders them.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        suspects: gets what was found, at the end.
        gaps: what cannot be measured; what else is found to be so is added.
        extra: knows which tests took more than the high-water mark.

    Raises:
        pytest.UsageError: if the JSON file could not be written in the end.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        suspects: Suspects,
        gaps: list[Gap],
        extra: ExtraMeasurements,
    ) -> None:
        self._extra = extra
        self.gaps = gaps
        self.closing_lines: list[str] = []
        self._config = config
        self._settings = settings
        self._suspects = suspects
        self._results = ResultStore()
        self._sorted: Outcomes | None = None
        self._totals: tuple[Totals, ...] | None = None
        self._gaps_shown = 0
        self._foreign = UntilFork(config, self.take)
        if settings.json is not None:
            from pytest_memguard.storage.files import check_writable

            self._path = Path(settings.json).absolute()
            problem = check_writable(self._path)
            if problem:
                where = settings.where("json")
                raise usage_error([f"{where}: cannot write {settings.json}: {problem}"])

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._sorted = self._totals = None
        self._results.add(outcome)

    def add_plain(
        self,
        nodeid: str,
        place: tuple[str, int],
        result: str,
        imports: int,
        overhead: float,
        phases: Sequence[MarkedPhaseNumbers],
    ) -> None:
        """Keep the result of a test of which nothing is known but these numbers."""
        self._sorted = self._totals = None
        self._results.add_plain(nodeid, place, result, imports, overhead, phases)

    def take(self, report: pytest.TestReport) -> None:
        """Take what a worker attached to its report."""
        import json

        from pytest_memguard.codecs.run_codec import OUTCOME_CODEC

        self.add(OUTCOME_CODEC.read(json.loads(report.__dict__.pop("memguard"))))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take what an xdist worker could not measure, and what took it longer."""
        gaps = [Gap(**gap) for gap in getattr(node, "workeroutput", {}).get(GAPS, ())]
        self.gaps += [gap for gap in gaps if gap not in self.gaps]
        self._extra.take(node)

    def pytest_report_header(self) -> list[str]:
        """Name metrics, limits and what cannot be measured here."""
        self._gaps_shown = len(self.gaps)
        return header(self._settings, self.gaps)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Store what outlives the run."""
        if self._settings.explain == "next":
            self._suspects.update(self._results if self._suspects else self.detailed())
        if self._settings.json is None or not self.worth_writing(session):
            return
        from pytest_memguard.codecs.run_codec import run_in_pieces

        tests = len(self._results)
        noun = "numbers of 1 test" if tests == 1 else f"numbers of {tests:,} tests"
        self.write(session, self._path, run_in_pieces(self.run()), noun)

    def write(
        self, session: pytest.Session, path: Path, text: str | Iterable[str], noun: str
    ) -> None:
        """Write a file; a run whose file could not be written does not count as good.

        Args:
            session: of the run that ends.
            path: the file.
            text: the whole content, at once or in pieces.
            noun: what it holds, for the report.
        """
        from pytest_memguard.storage.files import write_whole

        try:
            write_whole(path, text)
        except OSError as error:
            self.not_written(session, f"{path} could not be written: {error.strerror}")
        else:
            self.closing_lines.append(f"{noun}: {path}")

    def not_written(self, session: pytest.Session, line: str) -> None:
        """Say that a file was not written; the run does not count as good then.

        Args:
            session: of the run that ends.
            line: for the report.
        """
        self.closing_lines.append(line)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def has_content(self) -> bool:
        """Whether there are results, or something that kept tests from having any."""
        aborted = ABORT in self._config.stash
        return aborted or bool(self.tests or self.lost() or self._alerts())

    def worth_writing(self, session: pytest.Session) -> bool:
        """Whether a file from an earlier run may be replaced: not by one of no tests."""
        return self.has_content or (
            session.exitstatus
            in {
                pytest.ExitCode.OK,
                pytest.ExitCode.TESTS_FAILED,
            }
            and not self._config.getoption("collectonly")
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the memory section: whole with --mem, otherwise only what must be seen."""
        lines = [in_words(gap) for gap in self.gaps[self._gaps_shown :]]
        lines += self._extra.lines()
        settings, results = self._settings, self._results
        asks = settings.mem or settings.growth
        if not (asks or len(results) or lines or self.closing_lines):
            return
        from pytest_memguard.plugin.memory_section import MemorySection  # a quiet run has none

        section = MemorySection(self._config, settings, results, self.totals)
        section.write(terminalreporter, lines, self.closing_lines)

    def lost(self) -> list[LostWorker]:
        """Workers of pytest-xdist that were lost so far."""
        none: list[LostWorker] = []
        return self._config.stash.get(LOST, none)

    def _alerts(self) -> list[Alert]:
        none: list[Alert] = []
        return self._config.stash.get(ALERTS, none)

    @property
    def tests(self) -> int:
        """How many outcomes there are so far."""
        return len(self._results)

    def outcomes(self) -> Outcomes:
        """Every outcome so far, sorted by node id; made one by one, as they are read."""
        if self._sorted is None:
            self._sorted = self._results.by_name()
        return self._sorted

    def detailed(self) -> Iterator[Outcome]:
        """Those of tests of which there is more to say than what they used."""
        return self._results.detailed()

    def totals(self) -> tuple[Totals, ...]:
        """Sums over the outcomes so far, added up once for all reports."""
        if self._totals is None:
            self._totals = totals(self._results)
        return self._totals

    def run(self) -> Run:
        """Everything collected so far."""
        from pytest_memguard.plugin.environment import environment

        parallel = self._config.stash.get(PARALLEL, None)
        return Run(
            environment=environment(),
            settings=effective(self._settings),
            gaps=tuple(self.gaps),
            outcomes=self.outcomes(),
            totals=self.totals(),
            leak_strict=self._settings.leak_strict,
            lost=tuple(self.lost()),
            abort=self._config.stash.get(ABORT, None),
            alerts=tuple(self._alerts()),
            parallel=parallel() if parallel is not None else None,
        )


def effective(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Every setting that was made, with its source."""
    return tuple(
        (
            option.flag or option.ini,
            f"{getattr(settings, option.name)} ({settings.where(option.name)})",
        )
        for option in OPTIONS
        if option.name in settings.sources
    )
