"""Tests of the log of experiments: it only gets longer, and never loses a line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.storage.experiments import COLUMNS, append_line

HEADER = "\t".join(COLUMNS)
CELLS = [f"cell {number}" for number in range(len(COLUMNS))]
LINE = "\t".join(CELLS)
APPEND = """
import sys
from pathlib import Path
from pytest_memguard.storage.experiments import COLUMNS, append_line

for number in range(20):
    append_line(Path(sys.argv[1]), [f"{sys.argv[2]} {number}"] * len(COLUMNS))
"""


def test_columns() -> None:
    """The columns are those of an optimisation log."""
    expected = (
        "commit target_test target_mb peak_memory_mb total_allocs elapsed_s tests_passed "
        "tests_failed status description"
    )
    assert expected == " ".join(COLUMNS)


def test_append(tmp_path) -> None:
    """The header is written once, and each line comes last."""
    path = tmp_path / "deep" / "log.tsv"
    assert append_line(path, CELLS) == 1
    assert append_line(path, CELLS[::-1]) == 2
    lines = [HEADER, LINE, "\t".join(CELLS[::-1]), ""]
    assert path.read_text(encoding="utf-8") == "\n".join(lines)


@pytest.mark.parametrize(
    ("before", "number"),
    [
        pytest.param("", 1, id="empty"),
        pytest.param("\n", 1, id="blank"),
        pytest.param(HEADER, 1, id="no-line-break"),
        pytest.param(f"{HEADER}\n{LINE}", 2, id="cut-line-break"),
        pytest.param(f"\ufeff{HEADER}\n", 1, id="byte-order-mark"),
    ],
)
def test_what_is_there(tmp_path, before, number) -> None:
    """A file that people have touched goes on where it ended."""
    path = tmp_path / "log.tsv"
    path.write_text(before, encoding="utf-8")
    assert append_line(path, CELLS) == number
    text = path.read_text(encoding="utf-8").removeprefix("\ufeff")
    assert [HEADER, *[LINE] * number] == text.splitlines()


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        pytest.param(b"a\tb\n1\t2\n", "other columns than an optimisation log", id="columns"),
        pytest.param(f"{HEADER}\tmore\n".encode(), "other columns", id="one-more"),
        pytest.param(b"\xff\xfe\x00", "is no text", id="binary"),
    ],
)
def test_another_file(tmp_path, before, problem) -> None:
    """A file with other columns is refused, and kept as it is."""
    path = tmp_path / "log.tsv"
    path.write_bytes(before)
    with pytest.raises(ConfigError, match=problem):
        append_line(path, CELLS)
    assert path.read_bytes() == before


def test_several_processes(tmp_path) -> None:
    """Lines that several processes append at once are all there, each whole."""
    path = tmp_path / "log.tsv"
    processes = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(path), str(name)])
        for name in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER
    expected = {f"{name} {number}" for name in range(3) for number in range(20)}
    assert expected == {line.split("\t")[0] for line in lines[1:]}
    assert {len(COLUMNS)} == {len(line.split("\t")) for line in lines}
