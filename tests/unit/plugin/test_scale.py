"""Tests that reports of many tests take little memory: they are written as they are made."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_memguard.checks.regression.comparison import Comparison
from pytest_memguard.checks.regression.saving import Saver
from pytest_memguard.codecs.run_codec import run_in_pieces
from pytest_memguard.judge.readings import environment_key
from pytest_memguard.model.baselines import Baseline, BaselineEntry
from pytest_memguard.model.measurements import Budget, PhaseReading
from pytest_memguard.model.results import Outcome, Run
from pytest_memguard.options.rules import closest
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.baseline.history import readings_of
from pytest_memguard.report.gitlab import code_quality
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.notices import notices
from pytest_memguard.report.summary import memory_section
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.files import write_whole
from pytest_memguard.storage.result_store import ResultStore
from pytest_memguard.storage.sqlite import SqliteFile
from tests.support import history_values
from tests.support.fresh_process import alone
from tests.support.sample_values import RUN, rss

FEW, MANY = 300, 800
WRITTEN, INDEXED = 80, 150
"""Bytes a test may take while a report is made that writes it, or keeps it by its name."""


def outcome_of(number: int) -> Outcome:
    """A test that passed, with numbers of its own."""
    phases = tuple(
        PhaseReading(
            name=name, seconds=number / 7, level=MIB + number, growth=number, peaks=(rss(1),)
        )
        for name in ("setup", "call", "teardown")
    )
    return Outcome(
        nodeid=f"tests/test_many.py::test_number[{number:05}]",
        file="tests/test_many.py",
        line=7,
        phases=phases,
        budgets=(Budget(limit=MIB, where="--mem-budget"),),
    )


def store_of(tests: int) -> ResultStore:
    """Many tests that have run."""
    store = ResultStore()
    for number in range(tests):
        store.add(outcome_of(number))
    return store


def write_json(run: Run, folder: Path) -> None:
    """Write the file of --mem-json."""
    write_whole(folder / "memory.json", run_in_pieces(run))


def write_markdown(run: Run, _: Path) -> None:
    """Make the Markdown summary."""
    assert "## Memory" in markdown(run, top=10, limit=60_000)


def write_gitlab(run: Run, _: Path) -> None:
    """Make GitLab's report."""
    assert code_quality(notices(run), "") == "[]\n"


def write_section(run: Run, _: Path) -> None:
    """Make the section in the terminal."""
    section = memory_section(run.outcomes, run.totals, 10)
    assert any("more;" in line.text for line in section)


def append_to_history(run: Run, folder: Path) -> None:
    """Append to a history."""
    database = SqliteFile(folder / "history.sqlite", create=True)
    append_run(database, history_values.RUN, run.environment, readings_of(run.outcomes, {}))
    database.close()


def save_baseline(run: Run, folder: Path) -> None:
    """Save a baseline where there is none."""
    settings = Settings(save=".memguard/baseline.json")
    saver = Saver(settings, folder / "baseline.json", "it", "", cold=False)
    lines = saver.save(run, frozenset(), "", frozenset())
    assert "new" in lines[0]


def compare_with_baseline(run: Run, _: Path) -> None:
    """Compare with a baseline that has the same numbers for all tests."""
    one = BaselineEntry(peak=MIB, growth=0)
    place = environment_key(run.environment)
    old = Baseline(environments={place: dict.fromkeys((o.nodeid for o in run.outcomes), one)})
    comparison = Comparison(old, closest(), "")
    comparison.add_run(run)
    assert comparison.counts().endswith("as before")


@alone
@pytest.mark.slow
@pytest.mark.parametrize(
    ("report", "limit"),
    [
        pytest.param(write_json, WRITTEN, id="json"),
        pytest.param(write_markdown, WRITTEN, id="markdown"),
        pytest.param(write_gitlab, WRITTEN, id="gitlab"),
        pytest.param(write_section, WRITTEN, id="section"),
        pytest.param(append_to_history, WRITTEN, id="history"),
        pytest.param(save_baseline, INDEXED, id="save"),
        pytest.param(compare_with_baseline, INDEXED, id="compare"),
    ],
)
def test_memory_of_a_report(tmp_path, report: Callable[[Run, Path], None], limit: int) -> None:
    """While a report is made, a test takes no more of it than a place in an index."""
    (tmp_path / "first").mkdir()
    report(replace(RUN, outcomes=store_of(20).by_name()), tmp_path / "first")
    # the first report has loaded what it needs
    few, many = (peak_of(report, tests, tmp_path) for tests in (FEW, MANY))
    assert (many - few) / (MANY - FEW) <= limit


def peak_of(report: Callable[[Run, Path], None], tests: int, folder: Path) -> int:
    """Bytes that Python allocated for a report at the highest point."""
    store = store_of(tests)
    (folder / str(tests)).mkdir()
    gc.collect()
    tracemalloc.start()
    try:
        report(replace(RUN, outcomes=store.by_name()), folder / str(tests))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
