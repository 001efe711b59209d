"""Tests of the tables of a leak."""

from __future__ import annotations

import pytest

from pytest_memguard.model.leaks import LeakLine, TypeGrowth
from pytest_memguard.report.leak_tables import leak_line_table, type_table


@pytest.mark.parametrize(
    ("blocks", "calls", "shown"),
    [
        pytest.param(16, 16, "1", id="each call"),
        pytest.param(17, 16, "1", id="a list that moved"),
        pytest.param(31, 16, "2", id="one block that is missing"),
        pytest.param(20, 16, "1.25", id="every fourth call two"),
        pytest.param(1, 16, "0.0625", id="one block in all calls"),
        pytest.param(15, 16, "1", id="all calls but one"),
        pytest.param(4, 3, "1.33", id="few calls"),
        pytest.param(766, 16, "48", id="two of many blocks that are missing"),
        pytest.param(45, 16, "2.81", id="three of few blocks"),
        pytest.param(51_200, 4, "12,800", id="many blocks"),
    ],
)
def test_blocks_per_call(blocks, calls, shown) -> None:
    """One block more or less over many calls is no reason for a fraction."""
    line = LeakLine(file="app.py", line=3, function="put", count=blocks, size=1600)
    row = leak_line_table([line], calls).splitlines()[-1]
    assert row.split() == ["put", "app.py:3", shown, f"{1600 / calls:,.0f}"]


@pytest.mark.parametrize(
    ("name", "left", "shown"),
    [
        pytest.param("open files", 4, "+0.25 open files", id="a file now and then"),
        pytest.param("open files", 64_000, "+4,000 open files", id="many files"),
        pytest.param("USS", 21_440, "+1.3 KiB USS", id="pages"),
        pytest.param("C heap", 214_400, "+13.1 KiB C heap", id="C heap"),
    ],
)
def test_what_a_line_left(name, left, shown) -> None:
    """What a line has left behind is a plain number, bytes with their unit."""
    line = LeakLine(
        file="app.py", line=3, function="put", count=0, size=0, left=((name, left),)
    )
    assert shown == leak_line_table([line], 16).splitlines()[-1].strip()


LONG = (
    "parseAssemblyInto(llvm::MemoryBufferRef, llvm::function_ref<std::optional<std::string> "
    "(llvm::StringRef, llvm::StringRef)>, llvm::AsmParserContext*) const [clone .localalias]"
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("open(int)", "open(int) (C)", id="short"),
        pytest.param(LONG, "parseAssemblyInto (C)", id="parameters"),
        pytest.param(f"a{'x' * 90}z(int)", f"a{'x' * 22}...{'x' * 47}z (C)", id="a-long-name"),
        pytest.param(f"{'x' * 90}z", f"{'x' * 23}...{'x' * 47}z (C)", id="no-parameters"),
    ],
)
def test_c_functions_fit_a_terminal(name, shown) -> None:
    """Parameters of C++ functions go before the middle of a name does."""
    line = LeakLine(file="a.py", line=3, function="put", count=16, size=16, native=(name,))
    assert shown == leak_line_table([line], 16).splitlines()[-1].strip()


@pytest.mark.parametrize(
    ("function", "file"),
    [
        pytest.param("put", "/elsewhere/a/b/c/d/e/f/g/h/i/j/k/l/m/n/rows.py", id="path"),
        pytest.param("test_" + "x" * 50, "rows.py", id="function"),
        pytest.param("test_" + "x" * 50, f"{'folder/' * 9}rows.py", id="both"),
    ],
)
def test_lines_fit_a_terminal(function, file) -> None:
    """Names of functions and paths are shortened in the middle."""
    line = LeakLine(file=file, line=3, function=function, count=9**9, size=9**15, caller=file)
    table = leak_line_table([line], 16).splitlines()
    assert max(map(len, table)) <= 80
    assert "rows.py:3  " in table[2]
    assert "rows.py" in table[3]


def test_types_fit_a_terminal() -> None:
    """The module of a long type is shortened."""
    table = type_table([TypeGrowth(type=f"{'a.' * 50}Row", count=16, size=160)], 16)
    assert max(map(len, table.splitlines())) <= 80
    assert ".Row  " in table
