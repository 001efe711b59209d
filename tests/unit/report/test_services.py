"""Tests of what CI services read: GitHub's workflow commands and GitLab's code quality."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_memguard.model.results import Outcome
from pytest_memguard.report.github import SHOWN, workflow_commands
from pytest_memguard.report.gitlab import code_quality
from pytest_memguard.report.notices import Notice
from pytest_memguard.report.repository_paths import in_repository

NOTICE = Notice(
    level="error",
    rule="over-budget",
    nodeid="tests/test_a.py::test_it",
    file="tests/test_a.py",
    line=7,
    text="it is over",
    outcome=Outcome(nodeid="tests/test_a.py::test_it"),
    name="rss call",
)
SEVERITIES = {"info", "minor", "major", "critical", "blocker"}


def test_command() -> None:
    """A finding is an annotation at the line of its test."""
    (line,) = workflow_commands([NOTICE], "")
    assert line == (
        "::error file=tests/test_a.py,line=7,"
        "title=over-budget%3A tests/test_a.py%3A%3Atest_it::it is over"
    )


def test_escapes() -> None:
    """Percent signs, line breaks, colons and commas stay what they are."""
    odd = replace(NOTICE, file="a,b:c%.py", nodeid="t[1,\r\n2]", text="10%, a: b\r\nc::d")
    (line,) = workflow_commands([odd], "")
    assert line == (
        "::error file=a%2Cb%3Ac%25.py,line=7,"
        "title=over-budget%3A t[1%2C%0D%0A2]::10%25, a: b%0D%0Ac::d"
    )


def test_no_file() -> None:
    """A test without a source file has an annotation without a place."""
    (line,) = workflow_commands([replace(NOTICE, file="")], "services")
    assert line.startswith("::error title=over-budget%3A tests")


def test_long_names() -> None:
    """A title is no longer than GitHub takes it."""
    (line,) = workflow_commands([replace(NOTICE, nodeid="x" * 1000)], "")
    title = line.partition("title=")[2].partition("::")[0].replace("%3A", ":")
    assert (len(title), title[-4:]) == (255, "x...")


def test_warning() -> None:
    """A finding that failed no test is a warning."""
    (line,) = workflow_commands([replace(NOTICE, level="warning")], "")
    assert line.startswith("::warning file=tests/test_a.py,line=7,")


@pytest.mark.parametrize(
    ("number", "word"),
    [
        pytest.param(1, "1 more error", id="one"),
        pytest.param(2000, "2,000 more errors", id="2000"),
    ],
)
def test_no_more_than_github_shows(number, word) -> None:
    """Ten of each level are written, and the rest is counted."""
    warning = replace(NOTICE, level="warning")
    lines = workflow_commands([*[NOTICE] * (SHOWN + number), *[warning] * SHOWN], "")
    assert [line for line in lines if not line.startswith("::")] == [
        f"{word} without an annotation: GitHub shows 10 of them for a step"
    ]
    assert sum(line.startswith("::error ") for line in lines) == SHOWN
    assert sum(line.startswith("::warning ") for line in lines) == SHOWN


@pytest.mark.parametrize(
    ("file", "prefix", "expected"),
    [
        pytest.param("tests/test_a.py", "", "tests/test_a.py", id="same-root"),
        pytest.param("test_a.py", "services/api", "services/api/test_a.py", id="below"),
        pytest.param("../test_a.py", "services/api", "services/test_a.py", id="beside"),
        pytest.param("", "services/api", "", id="none"),
    ],
)
def test_paths(file, prefix, expected) -> None:
    """Paths start at the top of the repository."""
    assert expected == in_repository(file, prefix)


def test_code_quality() -> None:
    """A finding has the keys that GitLab's format asks for."""
    (entry,) = json.loads(code_quality([NOTICE], "services"))
    assert entry["description"] == "tests/test_a.py::test_it: it is over"
    assert entry["check_name"] == "memguard/over-budget"
    assert entry["severity"] == "major"
    assert entry["location"] == {"path": "services/tests/test_a.py", "lines": {"begin": 7}}
    assert len(entry["fingerprint"]) == 64


def test_nothing_to_say() -> None:
    """Without findings the report is an empty list, which clears what was there before."""
    assert json.loads(code_quality([], "")) == []


@pytest.mark.parametrize(
    ("level", "rule", "severity"),
    [
        pytest.param("error", "over-budget", "major", id="fails"),
        pytest.param("warning", "near-budget", "minor", id="warns"),
        pytest.param("warning", "not-measured", "info", id="unknown"),
    ],
)
def test_severity(level, rule, severity) -> None:
    """Severities are among GitLab's five, by what the finding does."""
    (entry,) = json.loads(code_quality([replace(NOTICE, level=level, rule=rule)], ""))
    assert severity == entry["severity"]
    assert severity in SEVERITIES


def fingerprints(*notices) -> list[str]:
    """The fingerprints of some notices."""
    return [entry["fingerprint"] for entry in json.loads(code_quality(notices, ""))]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"line": 900}, id="line"),
        pytest.param({"text": "it is far over"}, id="numbers"),
        pytest.param({"excess": 9}, id="excess"),
    ],
)
def test_stable_fingerprints(change) -> None:
    """A finding keeps its fingerprint when lines and numbers move."""
    assert fingerprints(NOTICE) == fingerprints(replace(NOTICE, **change))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"nodeid": "tests/test_a.py::test_other"}, id="test"),
        pytest.param({"rule": "regression"}, id="rule"),
        pytest.param({"name": "heap call"}, id="budget"),
        pytest.param({}, id="twice"),
    ],
)
def test_different_fingerprints(change) -> None:
    """Different findings differ, even two that look the same."""
    assert len(set(fingerprints(NOTICE, replace(NOTICE, **change)))) == 2


def test_a_leak_keeps_its_fingerprint_in_another_test() -> None:
    """A leak is known by its own name, not by the test that shows it first."""
    leak = replace(NOTICE, rule="leaking", name="0123456789ab")
    assert fingerprints(leak) == fingerprints(replace(leak, nodeid="tests/test_b.py::test_b"))
