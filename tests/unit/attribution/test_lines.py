"""Tests of allocations by line: which frame of a stack is named, and in what order."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

import pytest_memguard
from pytest_memguard.attribution.lines import CallSites, sites_at_peak
from pytest_memguard.model.measurements import CallSite
from tests.support.fakes import FakeRecord

USER = ("load_rows", "/home/user/project/rows.py", 41)
CALLER = ("test_rows", "/home/user/project/test_rows.py", 7)
STDLIB = ("loads", str(Path(sysconfig.get_path("stdlib"), "json", "decoder.py")), 337)
PACKAGE = ("frame", str(Path(sysconfig.get_path("purelib"), "pandas", "core.py")), 5)
FROZEN = ("_load", "<frozen importlib._bootstrap>", 241)
GENERATED = ("__init__", "<string>", 2)
OURS = ("run", str(Path(pytest_memguard.__file__).with_name("recording") / "x.py"), 9)
NATIVE = ("native code", "<no Python frame>", 0)


def site(frame, size=1, count=1, kept=None) -> CallSite:
    """The line of a frame, and what it held."""
    function, file, line = frame
    return CallSite(file=file, line=line, function=function, size=size, count=count, kept=kept)


@pytest.mark.parametrize(
    ("stack", "named"),
    [
        pytest.param((USER,), USER, id="user-code"),
        pytest.param((USER, CALLER), USER, id="innermost-user-code"),
        pytest.param((STDLIB, USER), USER, id="through-the-standard-library"),
        pytest.param((PACKAGE, STDLIB, PACKAGE, USER), USER, id="through-packages"),
        pytest.param((FROZEN, USER), USER, id="through-frozen-code"),
        pytest.param((GENERATED, USER), USER, id="through-generated-code"),
        pytest.param((OURS, USER), USER, id="through-our-code"),
        pytest.param((PACKAGE, STDLIB), PACKAGE, id="no-user-code"),
        pytest.param((GENERATED, STDLIB), GENERATED, id="generated-code-alone"),
        pytest.param((OURS, PACKAGE), PACKAGE, id="ours-never-counts"),
        pytest.param((OURS, OURS), NATIVE, id="ours-alone"),
        pytest.param((), NATIVE, id="no-stack"),
        pytest.param((STDLIB,) * 39 + (USER,), USER, id="forty-frames-up"),
        pytest.param((STDLIB,) * 40 + (USER,), STDLIB, id="too-far-up"),
    ],
)
def test_named_line(stack, named) -> None:
    """The innermost line of the user's own code is named, or the innermost there is."""
    assert (site(named),) == sites_at_peak([FakeRecord(stack, 1, 1)], 10)


def test_sums_by_line() -> None:
    """Blocks from the same line add up, whichever functions it called."""
    records = [FakeRecord((USER,), 10, 1), FakeRecord((STDLIB, USER), 20, 2)]
    assert (site(USER, 30, 3),) == sites_at_peak(records, 10)


def test_same_line_in_two_functions() -> None:
    """Two functions on one line, as two lambdas are, stay apart."""
    other = ("<lambda>", *USER[1:])
    records = [FakeRecord((USER,), 1, 1), FakeRecord((other,), 1, 1)]
    assert {USER[0], other[0]} == {found.function for found in sites_at_peak(records, 10)}


def test_largest_first() -> None:
    """The lines that held most come first; of equal ones, by name and number."""
    sizes = {"b.py": 5, "c.py": 9, "a.py": 5, "d.py": 1}
    records = [FakeRecord((("f", file, 1),), size, 1) for file, size in sizes.items()]
    assert [found.file for found in sites_at_peak(records, 3)] == ["c.py", "a.py", "b.py"]


def test_lines_that_held_nothing_are_left_out() -> None:
    """A line with nothing at the peak and nothing kept is not worth a row."""
    assert sites_at_peak([FakeRecord((USER,), 0, 3)], 10) == ()


def test_no_records() -> None:
    """Without allocations there are no lines."""
    assert sites_at_peak([], 10) == ()


def test_kept_bytes() -> None:
    """Kept bytes decide a line's place, and are shown only if the caller asks for them."""
    sites = CallSites()
    sites.add(FakeRecord((USER,)), size=10, count=1)
    sites.add(FakeRecord((CALLER,)), size=0, count=0, kept=11)
    sites.add(FakeRecord((CALLER,)), size=2, count=1, kept=1)
    assert (site(CALLER, 2, 1, 12), site(USER, 10, 1, 0)) == sites.largest(10, with_kept=True)
    assert (site(CALLER, 2, 1), site(USER, 10, 1)) == sites.largest(10)
