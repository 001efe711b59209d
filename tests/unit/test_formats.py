"""Tests of files of a newer version: the error says so, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_memguard.cli import main
from pytest_memguard.codecs.run_codec import FORMAT
from pytest_memguard.errors import ConfigError
from pytest_memguard.formats import is_newer, other_format
from pytest_memguard.storage.baseline import read_baseline
from pytest_memguard.storage.known_leaks import read_known
from tests.support.sample_values import RUN
from tests.support.stored_runs import as_stored

BASELINE = 2
WORDS = "format 9, this version reads format {}; a newer pytest-memguard wrote it"
NEWER = [
    pytest.param('{"format": 9}', id="alone"),
    pytest.param('{"format": 9, "tests": []}', id="tests"),
    pytest.param('{"format": 9, "tests": {"t.py::a": 1}}', id="other-tests"),
    pytest.param('{"format": 9, "environments": []}', id="environments"),
    pytest.param('{"format": 9, "environments": {"linux": 1}}', id="other-environments"),
    pytest.param('{"format": 9, "tests": [], "environments": [1]}', id="both"),
    pytest.param('{"format": 9, "places": NaN}', id="no-number"),
    pytest.param('{"format": 9, "environments": [NaN]}', id="no-number-in-environments"),
    pytest.param('{"x": 1, "x": 2, "environments": [], "format": 9}', id="twice"),
    pytest.param("\n" * 300 + '{"leaks": [], "format": 9}', id="leaks"),
]
LOG = ["log", "--tsv=out.json", "--description=x"]
COMMANDS = [
    pytest.param(["report", "newer.json"], id="report"),
    pytest.param(["export", "newer.json", "--format=csv"], id="export"),
    pytest.param(["compare", "newer.json", "good.json"], id="compare-old"),
    pytest.param(["compare", "good.json", "newer.json"], id="compare-new"),
    pytest.param(["merge", "good.json", "newer.json", "-o", "out.json"], id="merge"),
    pytest.param(
        [*LOG, "--run=newer.json", "--baseline=good.json"],
        id="log-run",
    ),
    pytest.param(
        [*LOG, "--run=good.json", "--baseline=newer.json"],
        id="log-baseline",
    ),
]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({"format": 2}, True, id="next"),
        pytest.param({"format": 99, "more": [1]}, True, id="far-ahead"),
        pytest.param({"format": 1}, False, id="ours"),
        pytest.param({"format": 0}, False, id="older"),
        pytest.param({"format": True}, False, id="true"),
        pytest.param({"format": "2"}, False, id="text"),
        pytest.param({"format": 2.5}, False, id="fraction"),
        pytest.param({"format": None}, False, id="null"),
        pytest.param({"number": 2}, False, id="no-format"),
        pytest.param([2], False, id="list"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_is_newer(data, expected) -> None:
    """An object whose format is a whole number above the one that is known is newer."""
    assert is_newer(data, 1) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(9, WORDS.format(1), id="newer"),
        pytest.param(0, "format 0, this version reads format 1", id="older"),
        pytest.param("9", "format '9', this version reads format 1", id="text"),
        pytest.param("x" * 99, f"format '{'x' * 39}, this version reads format 1", id="long"),
    ],
)
def test_other_format(number, expected) -> None:
    """Both numbers are in the message, which names a file of a later version as such."""
    assert expected == other_format(number, 1)


@pytest.mark.parametrize("text", NEWER)
@pytest.mark.parametrize(("read", "number"), [(read_baseline, BASELINE), (read_known, 1)])
def test_reading(tmp_path, text, read, number) -> None:
    """A stored file of a newer format is named, and left as it is."""
    path = tmp_path / "newer.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.startswith(str(path))
    assert problem.endswith(WORDS.format(number))
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", NEWER)
@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands(tmp_path, monkeypatch, capsys, text, arguments) -> None:
    """Commands that read numbers report it in one line, with status 2, and write nothing."""
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_text(json.dumps(as_stored(RUN)), encoding="utf-8")
    Path("newer.json").write_text(text, encoding="utf-8")
    assert main(arguments) == 2
    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 1)
    assert error.startswith("memguard: newer.json")
    # commands that read runs and baselines name the format that the file resembles
    assert error.endswith(tuple(f"{WORDS.format(number)}\n" for number in (FORMAT, BASELINE)))
    assert not Path("out.json").exists()
