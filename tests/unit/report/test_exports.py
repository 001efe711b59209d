"""Tests of the exports: what the readers of each format make of it."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.exports import (
    BENCHER_NAME,
    as_csv,
    as_json,
    as_tsv,
    bencher,
    github_action_benchmark,
)
from pytest_memguard.report.openmetrics import openmetrics
from pytest_memguard.report.rows import COLUMNS, Row, rows_of
from pytest_memguard.sizes import KIB, MIB
from tests.support.sample_values import LEAK, OUTCOME, RUN, heap, rss

ROW = Row(
    test="t.py::test_a[1,2]",
    metric="rss",
    peak_bytes=5 * MIB,
    upper_bound_bytes=6 * MIB,
    growth_bytes=-KIB,
    seconds=0.25,
    budget_bytes=8 * MIB,
    result="passed",
    leak="clean",
    leak_bytes_per_call=0.0,
    system="Linux",
    machine="x86_64",
    implementation="CPython",
    python="3.12.1",
)
PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)
ENTRY = BaselineEntry(peak=5 * MIB, growth=MIB, spread=MIB, readings=3)
NAMES = st.text(
    st.one_of(st.sampled_from('\t\n\r\\",{}#=: '), st.characters(exclude_categories=["Cs"])),
    max_size=30,
)
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Marks that turn the direction of writing."""
ESCAPES = re.compile(r"\\(?:\\|t|n|r|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def decoded(escape) -> str:
    """What an escape of Python's stands for."""
    return escape[0].encode("ascii").decode("unicode_escape")


def shown(name) -> str:
    """A name with escapes for what could break a line, or be obeyed by a terminal."""
    return "".join(
        repr(c)[1:-1] if c in TURNING or unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c
        for c in name
    )


def call(*peaks) -> PhaseReading:
    """A call with peaks."""
    return PhaseReading(name="call", seconds=0.5, level=MIB, growth=2, peaks=peaks)


def test_rows_of_a_run() -> None:
    """A test has a row for each metric of its call, with what belongs to that metric."""
    other = Outcome(nodeid="test_b", result="passed", phases=(call(rss(7)),))
    rows = rows_of(replace(RUN, outcomes=(OUTCOME, other, Outcome(nodeid="test_c"))))
    assert [(row.test, row.metric, row.peak_bytes // MIB) for row in rows] == [
        (OUTCOME.nodeid, "rss", 120),
        ("test_b", "rss", 7),
        (OUTCOME.nodeid, "heap", 1),
    ]
    first, _, last = rows
    assert (
        first.upper_bound_bytes,
        first.growth_bytes,
        first.seconds,
        first.result,
    ) == (130 * MIB, -3, 1.25, "failed")
    assert (first.leak, first.leak_bytes_per_call) == ("leaking", 216.0)
    assert (last.growth_bytes, last.leak, last.leak_bytes_per_call) == (None, "", None)
    assert (first.findings, last.findings) == (0, 1)
    assert first.environment == "Linux x86_64 CPython 3.12.1"


def test_rows_without_a_call() -> None:
    """A test that did not get to its call is known by the highest of its phases."""
    phases = tuple(
        PhaseReading(name=name, seconds=seconds, level=0, growth=0, peaks=(rss(mib),))
        for name, seconds, mib in (("setup", 1.0, 9), ("teardown", 2.0, 3))
    )
    (row,) = rows_of(replace(RUN, outcomes=(Outcome(nodeid="test_a", phases=phases),)))
    assert (row.peak_bytes, row.seconds) == (9 * MIB, 1.0)


def test_rows_of_several_processes() -> None:
    """Readings of one test in two processes are one row, the higher."""
    outcomes = tuple(
        Outcome(nodeid="test_a", worker=worker, phases=(call(rss(mib)),))
        for worker, mib in (("gw0", 4), ("gw1", 6), ("gw2", 5))
    )
    assert [row.peak_bytes for row in rows_of(replace(RUN, outcomes=outcomes))] == [6 * MIB]


def test_rows_of_a_baseline() -> None:
    """A baseline has a row for each test in each environment."""
    python = replace(PLACE, metric="python")
    baseline = Baseline(
        environments={PLACE: {"a": ENTRY}, python: {"a": BaselineEntry(peak=1, growth=0)}}
    )
    first, second = rows_of(baseline)
    assert (
        first.test,
        first.metric,
        first.spread_bytes,
        first.growth_bytes,
    ) == ("a", "rss", MIB, MIB)
    assert (second.metric, second.peak_bytes, second.growth_bytes) == ("python", 1, None)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("clean", 0.0, id="clean"),
        pytest.param("leaking", 216.0, id="leaking"),
        pytest.param("undecided", None, id="undecided"),
        pytest.param("settling", None, id="settling"),
    ],
)
def test_bytes_per_call(state, expected) -> None:
    """Only a verdict says what a call leaves behind."""
    leak = replace(LEAK, verdict=replace(LEAK.verdict, state=state))
    outcome = Outcome(nodeid="a", phases=(call(rss(1)),), leak=leak)
    (row,) = rows_of(replace(RUN, outcomes=(outcome,)))
    assert (state, expected) == (row.leak, row.leak_bytes_per_call)


def test_names_that_cannot_be_written() -> None:
    """A name with half a character is written with an escape in its place."""
    outcome = Outcome(nodeid="a\udc80", phases=(call(rss(1)),))
    rows = rows_of(replace(RUN, outcomes=(outcome,)))
    for text in (as_csv(rows), as_tsv(rows), as_json(rows), openmetrics(rows)):
        text.encode("utf-8")
    assert rows[0].test == "a\\udc80"


@given(name=NAMES)
def test_csv(name) -> None:
    """A reader of CSV gets the columns back, whatever the test is called, a line a row."""
    text = as_csv([replace(ROW, test=name), ROW])
    header, first, second = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert list(COLUMNS) == header
    assert shown(name) == first[0]
    assert len(text.splitlines()) == 3
    assert second[0] == "t.py::test_a[1,2]"
    assert text.endswith("3.12.1\r\n")


def test_csv_values() -> None:
    """Numbers are plain, and what is not known is empty."""
    values = dict(zip(COLUMNS, next(csv.reader([as_csv([ROW]).splitlines()[1]])), strict=True))
    assert (
        values["peak_bytes"],
        values["spread_bytes"],
        values["growth_bytes"],
        values["seconds"],
        values["leak_bytes_per_call"],
    ) == ("5242880", "", "-1024", "0.25", "0")


@given(name=NAMES)
def test_tsv(name) -> None:
    """A line stays a line and has all of its columns, and names can be distinguished."""
    text = as_tsv([replace(ROW, test=name), ROW])
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == 3
    assert {len(COLUMNS)} == {len(line.split("\t")) for line in lines}
    assert len(text.splitlines()) == 3
    assert name == ESCAPES.sub(decoded, lines[1].split("\t")[0])


def test_json() -> None:
    """The same rows are objects with the columns as keys."""
    (entry,) = json.loads(as_json([ROW]))
    assert list(COLUMNS) == list(entry)
    assert (
        entry["peak_bytes"],
        entry["spread_bytes"],
        entry["seconds"],
    ) == (5 * MIB, None, 0.25)


def test_github_action_benchmark() -> None:
    """Each test is a benchmark with a name, a unit and a number; the rest is text."""
    (entry,) = json.loads(github_action_benchmark([ROW]))
    assert entry == {
        "name": "t.py::test_a[1,2]",
        "unit": "MiB",
        "value": 5.0,
        "range": "+ 1.000",
        "extra": "metric: rss\nenvironment: Linux x86_64 CPython 3.12.1\nleft behind: -1.0 KiB",
    }


def test_small_peaks_are_written_as_the_floor() -> None:
    """A rise from nothing to a little is no alarm, and the number measured is still there."""
    small = replace(ROW, peak_bytes=0, upper_bound_bytes=0)
    (entry,) = json.loads(github_action_benchmark([small]))
    assert entry["value"] == 1.0
    assert "measured: 0 B" in entry["extra"]
    (entry,) = json.loads(github_action_benchmark([small], floor=0))
    assert entry["value"] == 0
    assert "measured" not in entry["extra"]


def test_benchmarks_of_other_metrics_and_places_have_other_names() -> None:
    """No two lines have one name: the action compares by it."""
    rows = [ROW, replace(ROW, metric="heap"), replace(ROW, python="3.13.0")]
    names = [entry["name"] for entry in json.loads(github_action_benchmark(rows))]
    assert len(set(names)) == 3
    assert names[2] == "t.py::test_a[1,2] [Linux x86_64 CPython 3.13.0]"


def test_spread() -> None:
    """The range of a benchmark is the spread in the baseline."""
    (entry,) = json.loads(github_action_benchmark([replace(ROW, spread_bytes=MIB)]))
    assert entry["range"] == "± 1.000"


def test_bencher() -> None:
    """Each test is a benchmark whose measures have a value, and bounds if they are known."""
    rows = [ROW, replace(ROW, metric="heap", upper_bound_bytes=5 * MIB, growth_bytes=None)]
    assert json.loads(bencher(rows)) == {
        "t.py::test_a[1,2]": {
            "peak-rss": {"value": 5 * MIB, "upper_value": 6 * MIB},
            "memory-growth": {"value": -KIB},
            "leak-per-call": {"value": 0.0},
            "peak-heap": {"value": 5 * MIB},
        }
    }


def test_bencher_spread() -> None:
    """The lower bound is the lowest reading in the baseline."""
    (measures,) = json.loads(bencher([replace(ROW, spread_bytes=9 * MIB)])).values()
    assert measures["peak-rss"]["lower_value"] == 0


def test_bencher_names() -> None:
    """A name that is too long is cut, and stays another one than its neighbour's."""
    rows = [replace(ROW, test="x" * 2000 + end) for end in "ab"]
    names = list(json.loads(bencher(rows)))
    assert [len(name) for name in names] == [BENCHER_NAME] * 2
    assert names[0] != names[1]


def families(text: str) -> dict[str, dict[str, float]]:
    """What the parser of the Prometheus client reads: numbers by family and test."""
    return {
        family.name: {sample.labels["test"]: sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_openmetrics() -> None:
    """The reference parser finds families with their units, and the numbers."""
    found = {f.name: f for f in text_string_to_metric_families(openmetrics([ROW]))}
    assert {name: family.unit for name, family in found.items()} == {
        "memguard_test_peak_bytes": "bytes",
        "memguard_test_peak_limit_bytes": "bytes",
        "memguard_test_growth_bytes": "bytes",
        "memguard_test_budget_bytes": "bytes",
        "memguard_test_duration_seconds": "seconds",
        "memguard_test_findings": "",
        "memguard_test_leak_per_call_bytes": "bytes",
    }
    assert {"gauge"} == {family.type for family in found.values()}
    (sample,) = found["memguard_test_peak_bytes"].samples
    assert sample.value == 5 * MIB
    assert sample.labels == {
        "test": "t.py::test_a[1,2]",
        "metric": "rss",
        "system": "Linux",
        "machine": "x86_64",
        "implementation": "CPython",
        "python": "3.12.1",
    }


@given(name=NAMES.filter(bool))
def test_openmetrics_names(name) -> None:
    """The label has the name of any test, with escapes for line breaks and such."""
    peaks = families(openmetrics([replace(ROW, test=name)]))["memguard_test_peak_bytes"]
    assert {shown(name): 5 * MIB} == peaks


def test_openmetrics_without_rows() -> None:
    """A report without content is still a whole text."""
    assert openmetrics([]) == "# EOF\n"


@pytest.mark.parametrize(
    "write", [as_csv, as_tsv, as_json, github_action_benchmark, bencher, openmetrics]
)
def test_many_rows(write) -> None:
    """The time an export takes is in proportion to the number of tests."""
    rows = [replace(ROW, test=f"test_{number}") for number in range(4000)]
    start = time.process_time()
    write(rows)
    assert time.process_time() - start < 5


def test_heap_peak_of_sample() -> None:
    """A peak that is exact is its own upper bound."""
    outcome = Outcome(nodeid="a", phases=(call(heap(3)),))
    (row,) = rows_of(replace(RUN, outcomes=(outcome,)))
    assert row.upper_bound_bytes == row.peak_bytes == 3 * MIB
