"""Tests of the history in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.trends import trends
from pytest_memguard.model.past_runs import Commit
from pytest_memguard.report.trend_tables import ASCII, overview, sparkline, trend_section
from pytest_memguard.sizes import MIB
from tests.support.gold_files import gold
from tests.support.history_values import PLACE, name_of, reading, run_at


def line(*mib) -> str:
    """A line of blocks for peaks in MiB."""
    return sparkline([None if value is None else value * MIB for value in mib])


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        pytest.param(line(), "", id="nothing"),
        pytest.param(line(None, None), "", id="nothing-known"),
        pytest.param(line(10, 20, 30, 40, 50, 60, 70, 80), "▁▂▃▄▅▆▇█", id="a-slope"),
        pytest.param(line(10, None, 80), "▁ █", id="a-gap"),
        pytest.param(line(100, 100.4, 100), "▁▁▁", id="noise-is-no-mountain"),
        pytest.param(line(0.1, 0.6, 0.1), "▁▅▁", id="little-is-no-mountain"),
        pytest.param(line(0, 0), "▁▁", id="zero"),
        pytest.param(sparkline([0, 9 * MIB], ASCII), "_@", id="without-blocks"),
    ],
)
def test_sparkline(drawn, expected) -> None:
    """The lowest value is at the bottom, the highest on top, and little stays little."""
    assert expected == drawn


def runs_and_readings():
    """A history of ten commits with all that a table can show."""
    runs = [run_at(number) for number in range(1, 11)]
    runs[3] = replace(runs[3], commit=Commit(name=name_of(3), branch="", dirty=True))
    runs[4] = replace(runs[4], commit=Commit(), aborted="interrupted", status=2)
    peaks = [20, 20.2, 20.1, 20, 20.1, 31, 30.9, 31.2, 31, 30]
    readings = [reading(number, peak) for number, peak in enumerate(peaks, 1)]
    readings[1] = replace(readings[1], leak="clean", growth=-MIB)
    readings[6] = replace(readings[6], outcome="failed", finding="over-budget")
    readings.append(reading(8, 3, "t.py::test_short", outcome="failed"))
    readings.append(replace(reading(9, 4, "t.py::test_short"), ceiling=12 * MIB))
    readings.append(reading(10, None, "t.py::test_short", outcome="skipped", growth=None))
    return runs, readings


def test_a_test_over_commits() -> None:
    """The table, the line of blocks and the step, with the commit it came with."""
    found = trends(*runs_and_readings())
    assert "\n".join(trend_section(found[0])) == gold("history_test")


def test_a_test_with_little_to_say() -> None:
    """Vague, small or missing numbers are reported as such."""
    found = trends(*runs_and_readings())
    assert "\n".join(trend_section(found[1])) == gold("history_test_short")


def test_a_test_without_a_step() -> None:
    """If no step was found, the line says so with the number of commits."""
    runs = [run_at(number) for number in range(1, 10)]
    (trend,) = trends(runs, [reading(number, 20) for number in range(1, 10)])
    assert trend_section(trend)[-1] == "No step of the level in 9 commits"


def test_overview() -> None:
    """The test that stepped last is first, and so is the latest run."""
    runs, readings = runs_and_readings()
    readings += [reading(n, 9 if n < 7 else 7, "t.py::test_less") for n in range(1, 11)]
    found = [trend for trend in trends(runs, readings) if trend.steps]
    assert "\n".join(overview(runs, found, 8)) == gold("history_overview")
    assert overview(runs, found, 1)[2] == "(1 more; --top N shows more)"


def test_overview_of_several_places() -> None:
    """With more than one place, each line says which it is about."""
    runs = [run_at(number, environment=f"{PLACE}.{number % 2}") for number in range(1, 21)]
    readings = [reading(n, 20 if n < 11 else 40) for n in range(1, 21)]
    text = "\n".join(overview(runs, trends(runs, readings), 9))
    assert f"t.py::test ({PLACE}.1)  {name_of(11)[:9]}" in text
    assert f"t.py::test ({PLACE}.0)  {name_of(12)[:9]}" in text


def test_overview_without_steps() -> None:
    """If nothing stepped, the overview says so."""
    assert overview([run_at(1)], [], 9)[0] == "No test's level stepped in 1 run."
