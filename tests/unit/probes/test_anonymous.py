"""Tests of anonymous memory: what belongs to no file."""

from __future__ import annotations

import mmap
import sys

import pytest

from pytest_memguard.probes.anonymous import (
    anonymous_exactly,
    anonymous_reader,
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


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/smaps")
def test_memory_that_is_mapped() -> None:
    """Both ways of counting see what the process maps for itself."""
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
