"""Tests of peak RSS below an inherited peak: a larger process started this one."""

from __future__ import annotations

import mmap
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_memguard.probes.inherited_peak import PeakBelowInherited, negligible_faults

LEVEL, MARK = 100_000_000, 140_000_000


class Setting:
    """A process with a level and a mark, in which pages may be faulted in."""

    def __init__(self, negligible: int) -> None:
        """Begin with a hundred faults."""
        self.minor, self.major = 90, 10
        self.asked = 0
        self.mark = PeakBelowInherited(lambda: LEVEL, self.usage, self.read_mark, negligible)

    def usage(self) -> Any:
        """What getrusage returns."""
        return SimpleNamespace(ru_minflt=self.minor, ru_majflt=self.major)

    def read_mark(self) -> int:
        """The content of the slow file."""
        self.asked += 1
        return MARK


@pytest.mark.parametrize(
    ("negligible", "minor", "major", "mark", "asked"),
    [
        pytest.param(4, 0, 0, LEVEL, 0, id="none"),
        pytest.param(4, 3, 1, LEVEL + 4 * mmap.PAGESIZE, 0, id="a-negligible"),
        pytest.param(4, 4, 1, MARK, 1, id="more"),
        pytest.param(0, 0, 0, LEVEL, 0, id="none-where-pages-may-be-huge"),
        pytest.param(0, 1, 0, MARK, 1, id="one-where-pages-may-be-huge"),
        pytest.param(4, -90, -10, MARK, 1, id="a-child-counts-anew"),
    ],
)
def test_by_page_faults(negligible: int, minor: int, major: int, mark: int, asked: int) -> None:
    """Without page faults there is no rise; with some the slow file is asked."""
    setting = Setting(negligible)
    assert setting.mark.level() == LEVEL
    setting.minor += minor
    setting.major += major
    assert (setting.mark.mark(), setting.asked) == (mark, asked)


def test_before_the_first_level() -> None:
    """Without a level nothing is known, so the slow file is read."""
    assert Setting(4).mark.mark() == MARK


@pytest.mark.parametrize(
    ("setting", "negligible"),
    [
        ("always [madvise] never\n", 4),
        ("[always] madvise never\n", 0),
        ("always madvise [never]\n", 4),
        (None, 4),
    ],
)
def test_huge_pages(tmp_path, setting, negligible) -> None:
    """Where the system makes huge pages unasked, a single fault may make a difference."""
    file = tmp_path / "enabled"
    if setting is not None:
        file.write_text(setting)
    assert negligible_faults(file) == negligible


CHILD = """
from pytest_memguard.probes.peak_rss import PeakRss
mark = PeakRss()
assert mark.inherited_peak > 300 << 20, mark.inherited_peak
base = mark.reset()
assert 0 <= mark.rise_above(base) < 1 << 20
block = bytearray(40 << 20)
del block
assert 38 << 20 < mark.rise_above(base) < 42 << 20, mark.rise_above(base)
base = mark.reset()
assert 0 <= mark.rise_above(base) < 1 << 20
kept = [bytes(1000) for _ in range(20_000)]
assert 18 << 20 < mark.rise_above(base) < 24 << 20, mark.rise_above(base)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no mark")
def test_real_inherited_peak() -> None:
    """A process started by one of 300 MiB reads its own peaks."""
    block = bytearray(300 << 20)
    subprocess.run([sys.executable, "-c", CHILD], check=True)
    del block
