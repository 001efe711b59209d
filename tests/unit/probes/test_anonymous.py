"""Tests of anonymous memory: what belongs to no file."""

from __future__ import annotations

import mmap
import sys

import pytest

from pytest_memguard.probes.anonymous import (
    anonymous_exactly,
    anonymous_mappings,
    anonymous_reader,
    anonymous_within,
    sum_of_anonymous,
)
from pytest_memguard.sizes import MIB

SMAPS = b"""\
5586f000-5587f000 rw-p 00000000 00:00 0                          [heap]
Size:                 64 kB
Rss:                  60 kB
Anonymous:            40 kB
VmFlags: rd wr mr mw me ac
7f0320f5a000-7f032121f000 rw-p 00000000 00:00 0
Anonymous:           100 kB
7f0327a43000-7f0327b78000 rw-p 00442000 fe:00 26933              /usr/lib/libpython3.11.so.1.0
Anonymous:          1236 kB
7f0327b78000-7f0327b79000 rw-p 00000000 00:00 0                  [anon:glibc: malloc]
Anonymous:             4 kB
7ffc3a5e0000-7ffc3a601000 rw-p 00000000 00:00 0                  [stack]
Anonymous:            80 kB
"""


def test_mappings_without_a_file() -> None:
    """The heap and nameless mappings count; changed pages of files and stacks do not."""
    assert sum_of_anonymous(SMAPS.splitlines(keepends=True)) == 144 << 10


def test_addresses_of_mappings() -> None:
    """The same mappings are found in /proc/self/maps."""
    lines = [line for line in SMAPS.splitlines(keepends=True) if b"-p 0" in line]
    first = [start for start, _ in anonymous_mappings(lines)]
    assert first == [0x5586F000, 0x7F0320F5A000, 0x7F0327B78000]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/smaps")
@pytest.mark.parametrize("most", [0, 1 << 40], ids=["exactly", "less-matters"])
def test_memory_that_was_only_read(most) -> None:
    """Pages of zeros are included only where the whole does not matter."""
    with mmap.mmap(-1, 20 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
        before = anonymous_within(most)
        assert not any(mapped[:: mmap.PAGESIZE])
        after = anonymous_within(most)
    assert pytest.approx(20 if most else 0, abs=3) == (after - before) / MIB


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/smaps")
def test_addresses_that_are_only_reserved() -> None:
    """Where a library has reserved a terabyte the number is exact."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, 1 << 40, flags=flags, prot=mmap.PROT_READ):
        assert pytest.approx(anonymous_exactly(), abs=MIB) == anonymous_within(1 << 50)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/smaps")
def test_without_mincore(monkeypatch) -> None:
    """A C library that does not have it costs the time of an exact number, nothing else."""
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    assert pytest.approx(anonymous_exactly(), abs=3 * MIB) == anonymous_within(1 << 40)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/smaps")
def test_memory_that_is_mapped() -> None:
    """Both ways of counting include what the process maps for itself."""
    quickly = anonymous_reader()
    before = quickly(), anonymous_exactly()
    with mmap.mmap(-1, 20 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
        mapped.write(b"1" * (20 * MIB))
        after = quickly(), anonymous_exactly()
    for then, now in zip(before, after, strict=True):
        assert pytest.approx(20, abs=3) == (now - then) / MIB


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/smaps")
def test_quick_count_is_an_upper_bound() -> None:
    """The quick way counts changed pages of files and stacks as well."""
    assert anonymous_exactly() <= anonymous_reader()()
