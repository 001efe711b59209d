"""Tests of the file of accepted leaks."""

from __future__ import annotations

import json

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.leaks import KnownLeak
from pytest_memguard.storage.known_leaks import FORMAT, read_known, write_known

FIRST = KnownLeak(
    fingerprint="b" * 12,
    holder="app.A",
    line="app/a.py: put",
    tests=("tests/test_a.py::test_1", "tests/test_a.py::test_2[\u00fc]"),
)
SECOND = KnownLeak(fingerprint="a" * 12, holder="app.B", tests=("t.py::test",))
THIRD = KnownLeak(fingerprint="c" * 12)


def test_what_is_written_is_read(tmp_path) -> None:
    """Every field comes back, in a folder that was not there before."""
    path = tmp_path / ".memguard" / "leaks.json"
    write_known(path, [FIRST, SECOND, THIRD])
    assert read_known(path) == {leak.fingerprint: leak for leak in (FIRST, SECOND, THIRD)}


def test_no_file(tmp_path) -> None:
    """Where there is no file, nothing is known."""
    assert read_known(tmp_path / "leaks.json") == {}
    assert read_known(tmp_path / "none" / "leaks.json") == {}


def test_the_file_is_for_reviews(tmp_path) -> None:
    """An entry has a line of its own, and the order does not depend on that of the run."""
    path, other = tmp_path / "leaks.json", tmp_path / "other.json"
    write_known(path, [FIRST, SECOND, THIRD])
    write_known(other, [SECOND, THIRD, FIRST])
    text = path.read_text(encoding="utf-8")
    assert other.read_text(encoding="utf-8") == text
    assert text.endswith("]}\n")
    entries = [json.loads(line.strip().rstrip(",")) for line in text.splitlines()[1:-1]]
    assert [entry["fingerprint"][0] for entry in entries] == ["c", "b", "a"]
    assert json.loads(text)["format"] == FORMAT


def test_none(tmp_path) -> None:
    """A file without an entry can be written and read."""
    path = tmp_path / "leaks.json"
    write_known(path, [])
    assert read_known(path) == {}


ENTRY = {"fingerprint": "x", "holder": "", "line": "", "tests": []}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "is no file that --mem-leak-accept wrote", id="empty"),
        pytest.param("{", "is no file that --mem-leak-accept wrote", id="cut-off"),
        pytest.param("3", "is no file that --mem-leak-accept wrote", id="number"),
        pytest.param("{}", "is no file that --mem-leak-accept wrote", id="no-format"),
        pytest.param(
            json.dumps({"format": 1, "leaks": [{**ENTRY, "new": 1}]}),
            "is no file that --mem-leak-accept wrote",
            id="unknown-key",
        ),
        pytest.param(
            json.dumps({"format": 1, "leaks": [{"tests": []}]}),
            "is no file that --mem-leak-accept wrote",
            id="no-fingerprint",
        ),
        pytest.param(
            json.dumps({"format": 2, "leaks": {"new": "form"}}),
            "has format 2, this version reads format 1",
            id="newer",
        ),
        pytest.param(
            json.dumps({"format": "1", "leaks": []}),
            "has format '1', this version reads format 1",
            id="text",
        ),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path, text, problem) -> None:
    """A file that cannot be read is reported with its path and left alone."""
    path = tmp_path / "leaks.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_known(path)
    assert str(caught.value).startswith(f"{path} {problem}")
    assert path.read_text(encoding="utf-8") == text


def test_no_text(tmp_path) -> None:
    """Bytes that are no UTF-8, and a folder, cannot be read."""
    path = tmp_path / "leaks.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_known(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_known(tmp_path)
