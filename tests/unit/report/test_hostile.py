"""No text of a test changes the form of any output."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    Change,
    EnvironmentKey,
    LineEntry,
    StageEntry,
)
from pytest_memguard.model.past_runs import (
    ChangePoint,
    Commit,
    PastReading,
    PastRun,
    Point,
    Trend,
)
from pytest_memguard.report.baseline_tables import baseline_markdown, baseline_section
from pytest_memguard.report.changes import changes_table, regression_text
from pytest_memguard.report.changes_markdown import changes_markdown
from pytest_memguard.report.exports import as_csv, as_json, as_tsv, bencher
from pytest_memguard.report.exports import github_action_benchmark as benchmark
from pytest_memguard.report.failure import failure_text
from pytest_memguard.report.github import workflow_commands
from pytest_memguard.report.gitlab import code_quality
from pytest_memguard.report.leak_section import leaks_section
from pytest_memguard.report.leak_text import leak_text
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.notices import notices
from pytest_memguard.report.openmetrics import openmetrics
from pytest_memguard.report.rows import COLUMNS, rows_of
from pytest_memguard.report.summary import memory_section, notes
from pytest_memguard.report.trend_tables import overview, trend_section
from pytest_memguard.sizes import MIB
from tests.support.sample_values import LEAK, OUTCOME, RUN

HARMLESS = "x"
LIMIT = 1 << 20
# what says which kind something is: no text of a test gets there
KINDS = {"kind", "metric", "method", "phase", "result", "rule", "signal", "state", "threads"}
PARTS = st.sampled_from(
    [
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\0",
        "\x0b",
        "\x1b[2K",
        "\x85",
        "\u2028",
        "\u2029",
        "\u202e",
        "\ud800",
        "\udc80",
        "\u00a0",
        " ",
        ":",
        "::",
        "::error::x",
        "::add-mask::x",
        "##[error]x",
        "```",
        "~~~",
        "`",
        "|",
        "</details>",
        "<!--",
        '"',
        ",",
        "\\",
        "{}",
        "%0A",
        "# EOF",
        "- ",
        "a",
    ]
)
NAMES = st.lists(st.one_of(PARTS, st.characters()), min_size=1, max_size=6).map("".join)
TEXT = (
    "\n::error::boo",
    "::error::boo",
    " ::error::boo",
    "\u00a0::error::boo",
    "\t::error::boo",
    "a\r::error::boo",
    "a\u2028::error::boo",
    ":",
    "\udc80",
    "\x1b[31m",
    "```\n::error::boo\n```",
)


def spoilt(value, name):
    """A value with every text in it replaced, except for what names a kind."""
    if isinstance(value, str):
        return name
    if isinstance(value, tuple):
        return tuple(spoilt(one, name) for one in value)
    if isinstance(value, dict):
        return {spoilt(key, name): spoilt(one, name) for key, one in value.items()}
    if is_dataclass(value):
        changed = {
            field.name: spoilt(getattr(value, field.name), name)
            for field in fields(value)
            if field.name not in KINDS
            and not (field.name == "name" and "Phase" in type(value).__name__)
            and field.name != "growth"
        }
        return replace(value, **changed)
    return value


PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.12"
)
LINE = LineEntry(file="a.py", line=1, function="f", size=9 * MIB)
CHANGE = Change(
    kind="regression",
    nodeid="t.py::test",
    environment=PLACE,
    subject="stage",
    stage="load",
    before=MIB,
    now=3 * MIB,
    allowed=2 * MIB,
    text="a sentence",
    lines=((None, LINE),),
)
BASELINE = Baseline(
    environments={
        PLACE: {
            "t": BaselineEntry(
                peak=1, growth=0, stages=(StageEntry(path="s", peak=1, delta=1),)
            )
        }
    }
)
PAST = PastRun(
    number=1,
    ended="2026-11-21T13:25:26Z",
    commit=Commit(name="abc", branch="main", dirty=True),
    environment="Linux",
    status=0,
    aborted="crashed: gw0",
    tests=1,
)
READING = PastReading(run=1, nodeid="t", outcome="passed", finding="leaking", peak=1, ceiling=1)
POINT = Point(run=PAST, value=MIB, readings=(READING,))
TREND = Trend(
    nodeid="t",
    environment="Linux",
    points=(POINT,) * 2,
    steps=((POINT, ChangePoint(at=1, before=1.0, after=9.0)),),
)


def run_of(name):
    """A run in which every text is one and the same."""
    leak = replace(spoilt(LEAK, name), accepted="")
    outcome = replace(spoilt(OUTCOME, name), leak=leak)
    return replace(spoilt(RUN, name), outcomes=(outcome,))


def outcome_of(name):
    """The only test of that run."""
    return run_of(name).outcomes[0]


def of_failure(name) -> str:
    """What that test fails with."""
    outcome = outcome_of(name)
    return failure_text(outcome.findings, outcome.stages, outcome.phases[0])


def leak_explained(name) -> str:
    """A leak that another test of that name has explained."""
    leak = outcome_of(name).leak
    return leak_text(leak, {leak.diagnosis.fingerprint: name})


def of_history(name) -> str:
    """A test over the commits, and the overview."""
    trend = spoilt(TREND, name)
    past = spoilt(PAST, name)
    return "\n".join([*trend_section(trend), *overview([past], [trend], 9)])


FOR_PEOPLE = [
    pytest.param(of_failure, id="failure"),
    pytest.param(lambda name: leak_text(outcome_of(name).leak), id="leak"),
    pytest.param(leak_explained, id="leak-explained"),
    pytest.param(
        lambda name: "\n".join(
            line.text for line in memory_section([outcome_of(name)], run_of(name).totals, 9)
        ),
        id="memory",
    ),
    pytest.param(
        lambda name: "\n".join(notes([outcome_of(name)], with_failures=True)), id="notes"
    ),
    pytest.param(
        lambda name: "\n".join(leaks_section([outcome_of(name)], {}, (name,))), id="leaks"
    ),
    pytest.param(lambda name: changes_table([spoilt(CHANGE, name)]), id="changes"),
    pytest.param(lambda name: regression_text([spoilt(CHANGE, name)]), id="regression"),
    pytest.param(lambda name: baseline_section(spoilt(BASELINE, name), 9), id="baseline"),
    pytest.param(of_history, id="history"),
]
PAGES = [
    pytest.param(lambda name: markdown(run_of(name), top=9, limit=LIMIT), id="run"),
    pytest.param(
        lambda name: changes_markdown([spoilt(CHANGE, name)], [name], LIMIT), id="changes"
    ),
    pytest.param(lambda name: baseline_markdown(spoilt(BASELINE, name), 9, LIMIT), id="record"),
]
FOR_PROGRAMS = [
    pytest.param(as_tsv, id="tsv"),
    pytest.param(as_csv, id="csv"),
    pytest.param(openmetrics, id="openmetrics"),
    pytest.param(as_json, id="json"),
    pytest.param(bencher, id="bencher"),
    pytest.param(benchmark, id="benchmark"),
]


def is_command(line) -> bool:
    """Whether GitHub obeys a line of a step's output."""
    return line.lstrip().startswith("::")


def assert_in_form(written, harmless) -> None:
    """Check that a text has the lines of a harmless one, and commands nothing."""
    written.encode("utf-8")
    lines = written.splitlines()
    assert len(harmless.splitlines()) == len(lines)
    assert not [line for line in lines if is_command(line)]


@pytest.mark.parametrize("render", FOR_PEOPLE)
@pytest.mark.parametrize("name", TEXT, ids=ascii)
def test_examples(render, name) -> None:
    """Names that are known to be trouble make no line, and no command."""
    assert_in_form(render(name), render(HARMLESS))


@pytest.mark.parametrize("render", FOR_PEOPLE)
@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_terminal(render, name) -> None:
    """Every line is memguard's own; nothing in it is obeyed or turns the text around."""
    written = render(name)
    assert_in_form(written, render(HARMLESS))
    assert all(line.isprintable() for line in written.split("\n"))
    assert "##[" not in written


@pytest.mark.parametrize("render", PAGES)
@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_markdown(render, name) -> None:
    """A page has its tables, folds and fences, and no other."""
    pages = []
    for text in (render(name), render(HARMLESS)):
        page = MarkdownIt("commonmark").enable("table").render(text)
        pages.append([page.count(tag) for tag in ("<td", "<pre>", "<li>", "<h", "<details>")])
        assert page.count("<details>") == page.count("</details>")
    assert pages[0] == pages[1]
    assert_in_form(render(name), render(HARMLESS))


@pytest.mark.parametrize("render", FOR_PROGRAMS)
@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_exports(render, name) -> None:
    """An export has a line for each row, whatever the tests are called."""
    written = render(rows_of(run_of(name)))
    assert_in_form(written, render(rows_of(run_of(HARMLESS))))


@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_columns(name) -> None:
    """Every line of a table in a file has all of its columns."""
    rows = rows_of(run_of(name))
    for line in as_tsv(rows).splitlines():
        assert len(COLUMNS) == line.count("\t") + 1
    for cells in csv.reader(io.StringIO(as_csv(rows), newline=""), strict=True):
        assert len(COLUMNS) == len(cells)


@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_annotations(name) -> None:
    """Each finding is one command to GitHub, of the kind that is meant."""
    lines = workflow_commands(notices(run_of(name)), "")
    assert len(workflow_commands(notices(run_of(HARMLESS)), "")) == len(lines)
    for line in lines:
        line.encode("utf-8")
        assert line.isprintable()
        command, _, properties = line.removeprefix("::").partition("::")[0].partition(" ")
        assert command in {"error", "warning"}
        assert {part.partition("=")[0] for part in properties.split(",")} == {
            "file",
            "line",
            "title",
        }


@given(name=NAMES)
@settings(max_examples=40, deadline=None)
def test_code_quality(name) -> None:
    """GitLab's report is JSON of whole characters."""
    entries = json.loads(code_quality(notices(run_of(name)), ""))
    assert entries
    json.dumps(entries, ensure_ascii=False).encode("utf-8")
