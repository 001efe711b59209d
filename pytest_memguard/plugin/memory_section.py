"""Prints the memory section at the end of a run: peaks, growth, and what must be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.measurements import BREACHES
from pytest_memguard.model.results import Outcome, Totals

if TYPE_CHECKING:
    import pytest

    from pytest_memguard.options.settings import Settings
    from pytest_memguard.storage.result_store import ResultStore

_NEAR: Final = 0.8
"""Share of a budget from which on a test stands out."""
_ANY_WIDTH: Final = 10_000
"""Characters in a line, where names are shown whole."""


class MemorySection:
    """What is printed of the results of a run.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        results: of all tests.
        totals: returns the sums over them.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        results: ResultStore,
        totals: Callable[[], tuple[Totals, ...]],
    ) -> None:
        self._config = config
        self._settings = settings
        self._results = results
        self._totals = totals

    def write(
        self,
        terminalreporter: pytest.TerminalReporter,
        remarks: Sequence[str],
        closing_lines: Sequence[str],
    ) -> None:
        """Print the section, if there is anything in it.

        Args:
            terminalreporter: the terminal reporter of pytest.
            remarks: what has to be seen of the run as a whole.
            closing_lines: which files were written.
        """
        lines: list[str] = []
        if len(self._results):  # without results, no tables are loaded
            from pytest_memguard.report.summary import notes

            lines = notes(self._results.detailed(), with_failures=False)
            lines += self._deaths()
            self._count_undecided(terminalreporter)
        lines += remarks
        settings = self._settings
        if not (settings.mem or settings.growth or lines or closing_lines):
            return
        breached = any(
            f.rule in BREACHES and f.raised
            for o in self._results.detailed()
            for f in o.findings
        )
        terminalreporter.write_sep("=", "memory", red=breached, bold=breached)
        for text, markup in chain(self._peaks(), self._growth()):
            terminalreporter.write_line(text, **markup)
        for line in [*lines, *closing_lines]:
            terminalreporter.write_line(one_line(line))

    def _deaths(self) -> list[str]:
        """How many processes of isolated tests died."""
        outcomes = self._results.detailed()
        deaths = [outcome.death for outcome in outcomes if outcome.death is not None]
        if not deaths:
            return []
        from pytest_memguard.report.death_text import deaths_line

        return [deaths_line(deaths)]

    def _width(self) -> int:
        """Characters in a line of a table; with -v, names are shown whole."""
        if self._config.get_verbosity() > 0:
            return _ANY_WIDTH
        return self._config.get_terminal_writer().fullwidth

    def _peaks(self) -> Iterator[tuple[str, dict[str, bool]]]:
        """The tests with the largest peaks, their stages and the total."""
        if self._settings.mem:
            from pytest_memguard.report.summary import memory_section

            top, width = self._settings.top, self._width()
            # not from a whole `Run`: finding its environment takes longer than the table
            for line in memory_section(self._results, self._totals(), top, width):
                yield line.text, _markup(line.share)

    def _growth(self) -> Iterator[tuple[str, dict[str, bool]]]:
        """Who raised the level for good."""
        if not self._settings.growth:
            return
        from pytest_memguard.judge.level_growth import level_growth
        from pytest_memguard.report.growth_lines import growth_lines

        growth = level_growth(self._results)
        lines = growth_lines(growth, self._settings.growth, self._width()) if growth else ()
        for line in ("", *lines) if self._settings.mem else lines:
            yield line, {}

    def _count_undecided(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Have pytest's last line count tests that passed undecided; it does so in yellow."""
        outcomes = self._results.detailed()
        undecided = {outcome.nodeid for outcome in outcomes if is_undecided(outcome)}
        passed = terminalreporter.stats.get("passed", ())
        # other plugins take what is counted for reports of tests
        reports = [report for report in passed if report.nodeid in undecided]
        if reports:
            terminalreporter.stats["undecided"] = reports


def _markup(share: float | None) -> dict[str, bool]:
    """How a line looks whose test has used so much of its budget."""
    if share is None or share < _NEAR:
        return {}
    return {"red": True} if share > 1 else {"yellow": True}


def is_undecided(outcome: Outcome) -> bool:
    """Whether a check of a test that passed could not decide."""
    leak = outcome.leak
    is_open = any(one.rule == "undecided" for one in outcome.findings)
    is_open = is_open or (leak is not None and leak.verdict.state == "undecided")
    return is_open and outcome.result in {"passed", "xpassed"}
