"""Tests of ``memguard report`` and ``memguard export``: forms, files and bad input."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_memguard.cli import main
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey, StageEntry
from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.baseline_tables import baseline_markdown, baseline_section
from pytest_memguard.report.exports import FORMATS
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.baseline import write_baseline
from tests.support.gold_files import gold
from tests.support.sample_values import RUN, rss
from tests.support.stored_runs import as_stored

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)
BASELINE = Baseline(
    environments={
        PLACE: {
            "test_small": BaselineEntry(peak=MIB, growth=0),
            "test_large[a|b]": BaselineEntry(
                peak=20 * MIB,
                growth=-2 * MIB,
                spread=MIB,
                readings=4,
                stages=(StageEntry(path="load", peak=15 * MIB, delta=0),),
            ),
        },
        replace(PLACE, metric="heap"): {"test_small": BaselineEntry(peak=3 * MIB, growth=0)},
    }
)


@pytest.fixture
def run_file(tmp_path):
    """Writes a run as --mem-json would, and returns the file's name."""

    def write(run=RUN) -> str:
        path = tmp_path / "memory.json"
        path.write_text(json.dumps(as_stored(run)), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def baseline_file(tmp_path) -> str:
    """The name of a baseline's file."""
    path = tmp_path / "baseline.json"
    write_baseline(path, BASELINE)
    return str(path)


def measured(name, mib) -> Outcome:
    """A test with a peak."""
    call = PhaseReading(name="call", seconds=0.1, level=MIB, growth=0, peaks=(rss(mib),))
    return Outcome(nodeid=name, phases=(call,))


MANY = replace(RUN, outcomes=tuple(measured(f"test_{n:02}", n) for n in range(1, 13)))


def test_report_markdown(run_file, capsys) -> None:
    """A stored run is the Markdown that --mem-markdown writes."""
    assert main(["report", run_file(), "--markdown"]) == 0
    assert capsys.readouterr() == (markdown(RUN, top=10, limit=COMMENT_LIMIT), "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], 10, id="ten-by-default"),
        pytest.param(["--top", "3"], 3, id="fewer"),
        pytest.param(["--top", "50"], 12, id="all"),
    ],
)
def test_report_rows(run_file, capsys, arguments, expected) -> None:
    """With --tsv and --json the largest peaks are lines and objects of the same columns."""
    name = run_file(MANY)
    tests = [f"test_{n:02}" for n in range(12, 12 - expected, -1)]
    assert main(["report", name, "--tsv", *arguments]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert tests == [line[0] for line in lines[1:]]
    assert main(["report", name, "--json", *arguments]) == 0
    data = json.loads(capsys.readouterr().out)
    assert tests == [entry["test"] for entry in data]
    assert lines[0] == list(data[0])


def test_report_of_a_baseline(baseline_file, capsys) -> None:
    """A baseline has a table for each environment and metric, the largest peaks first."""
    assert main(["report", baseline_file]) == 0
    assert gold("record") == capsys.readouterr().out.removesuffix("\n")


def test_report_of_a_baseline_as_markdown(baseline_file, capsys) -> None:
    """The same tables are there as Markdown."""
    assert main(["report", baseline_file, "--markdown"]) == 0
    text = capsys.readouterr().out
    title = "### Linux x86_64, CPython 3.12, heap: 1 test"
    assert text.startswith(f"## Memory on record: 2 tests\n\n{title}\n")
    assert "| <code>test_large&#91;a&#124;b&#93;</code> | 20.0 | 1.0 | -2.0 | 4 |" in text


def test_a_part_of_a_baseline() -> None:
    """Rows that are not shown are counted."""
    assert "(1 more; --top N shows more)" in baseline_section(BASELINE, 1)
    assert "*... and 1 more*" in baseline_markdown(BASELINE, 1, COMMENT_LIMIT)


def test_an_empty_baseline() -> None:
    """A baseline without a test says so."""
    assert baseline_section(Baseline(), 10) == "no numbers on record"


@pytest.mark.parametrize("name", list(FORMATS))
def test_export_to_a_file(run_file, tmp_path, capsys, name) -> None:
    """A file has what would be printed, and a line says where it is."""
    stored, path = run_file(MANY), tmp_path / "deep" / "out"
    assert main(["export", stored, "--format", name]) == 0
    printed = capsys.readouterr().out
    assert main(["export", stored, "--format", name, "-o", str(path)]) == 0
    assert f"{name}, 12 tests: {path}\n" == capsys.readouterr().out
    assert printed.encode() == path.read_bytes()


def test_export_of_a_baseline(baseline_file, capsys) -> None:
    """A baseline is exported with its spread and its environment."""
    assert main(["export", baseline_file, "--format", "csv"]) == 0
    text = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [
        ("test_large[a|b]", "rss", str(20 * MIB), str(MIB), "3.12"),
        ("test_small", "heap", str(3 * MIB), "0", "3.12"),
        ("test_small", "rss", str(MIB), "0", "3.12"),
    ] == [
        (r["test"], r["metric"], r["peak_bytes"], r["spread_bytes"], r["python"]) for r in rows
    ]


@pytest.mark.parametrize(
    ("floor", "smallest"),
    [
        pytest.param([], 1.0, id="default"),
        pytest.param(["--floor", "4 MB"], 4.0, id="higher"),
        pytest.param(["--floor", "0"], 0.5, id="none"),
    ],
)
def test_floor(run_file, capsys, floor, smallest) -> None:
    """The smallest number for the benchmark action can be set."""
    name = run_file(replace(RUN, outcomes=(measured("test_a", 0.5),)))
    assert main(["export", name, "--format", "github-action-benchmark", *floor]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert smallest == entry["value"]


def test_nothing_to_export(run_file, tmp_path, capsys) -> None:
    """A run without a measured test is an error, not an empty file."""
    name, path = run_file(replace(RUN, outcomes=())), tmp_path / "out"
    assert main(["export", name, "--format", "csv", "-o", str(path)]) == 2
    error = f"memguard: {name} has no measured test: there is nothing to export\n"
    assert ("", error) == capsys.readouterr()
    assert not path.exists()


def test_gitlab(run_file, tmp_path, monkeypatch, capsys) -> None:
    """The findings of a stored run are a code quality report, with paths of the repository."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    folder = tmp_path / "services"
    folder.mkdir()
    monkeypatch.chdir(folder)
    name, path = run_file(), tmp_path / "quality.json"
    assert main(["export", name, "--format", "gitlab", "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"gitlab, 1 finding: {path}\n"
    (entry,) = json.loads(path.read_text(encoding="utf-8"))
    assert entry["location"]["path"] == "services/tests/test_rows.py"


def test_gitlab_without_findings(run_file, baseline_file, capsys) -> None:
    """A run without findings is an empty report; a baseline has none to report."""
    assert main(["export", run_file(MANY), "--format", "gitlab"]) == 0
    assert capsys.readouterr().out == "[]\n"
    assert main(["export", baseline_file, "--format", "gitlab"]) == 2
    assert "is not a file that --mem-json wrote" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(run_file, tmp_path, capsys) -> None:
    """An output that cannot be written ends in status 2, with the reason."""
    name, folder = run_file(MANY), tmp_path / "file"
    folder.write_text("", encoding="utf-8")
    assert main(["export", name, "--format", "csv", "-o", str(folder / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"memguard: {folder / 'out'} could not be ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["export", "m.json"], "required: --format", id="no-format"),
        pytest.param(
            ["export", "m.json", "--format", "xml"], "invalid choice: 'xml'", id="other-format"
        ),
        pytest.param(
            ["export", "m.json", "--format", "csv", "--floor", "much"],
            "'much' is not a size",
            id="floor-a-word",
        ),
        pytest.param(
            ["report", "m.json", "--tsv", "--json"], "not allowed with argument", id="two-forms"
        ),
    ],
)
def test_bad_arguments(capsys, arguments, words) -> None:
    """Arguments that make no sense end in status 2, with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_a_name_that_cannot_be_printed(run_file, capsys) -> None:
    """A name that the terminal cannot show is printed with escapes."""
    assert main(["report", run_file(replace(RUN, outcomes=(measured("a\udc80", 5),)))]) == 0
    assert "a\\udc80" in capsys.readouterr().out


def places_in(data, path=()):
    """The paths to every value in a JSON document."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places_in(value, (*path, key))


COMMANDS = [
    ["report"],
    ["report", "--markdown"],
    ["report", "--json"],
    *[["export", "--format", name] for name in (*FORMATS, "gitlab")],
]
WHOLE = as_stored(RUN)


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_value_changed(tmp_path, capsys, data) -> None:
    """Any other value in a run, in place of one, ends the command with a status."""
    plain = json.loads(json.dumps(WHOLE))
    path = data.draw(st.sampled_from(list(places_in(plain))))
    at = plain
    for key in path[:-1]:
        at = at[key]
    odd = [None, True, -1, 0, 1.5, 10**30, "", "x", "\udc80", [], {}, [1], {"a": 1}]
    at[path[-1]] = data.draw(st.sampled_from(odd))
    name = tmp_path / "odd.json"
    name.write_text(json.dumps(plain), encoding="utf-8")
    status = main([*data.draw(st.sampled_from(COMMANDS)), str(name)])
    output, error = capsys.readouterr()
    assert status in {0, 2}
    assert (status == 2) == error.startswith(f"memguard: {name} ") == (output == "")


@pytest.mark.parametrize("command", [["report"], ["export", "--format=csv"]])
def test_a_broken_baseline(baseline_file, capsys, command) -> None:
    """A baseline that was cut off is named with the line, and is left as it is."""
    path = Path(baseline_file)
    text = path.read_text(encoding="utf-8")[:-20]
    path.write_text(text, encoding="utf-8")
    assert main([*command, baseline_file]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith(f"memguard: {baseline_file}, line ")
    assert path.read_text(encoding="utf-8") == text
