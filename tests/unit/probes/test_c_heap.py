"""Tests of what glibc and the kernel say about free memory of the C heap."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.c_heap import (
    Arena,
    CHeap,
    free_of_arenas,
    main_heap,
    parse_malloc_info,
)
from pytest_memguard.probes.resident import ProcFile
from pytest_memguard.units import KIB

SMAPS = b"""\
55d0c0a00000-55d0c0a01000 r--p 00000000 08:01 123  /usr/bin/python3
Size:                  4 kB
Rss:                   4 kB
55d0c1c00000-55d0c1e00000 rw-p 00000000 00:00 0    [heap]
Size:               2048 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                1234 kB
Pss:                1234 kB
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                 999 kB
"""


INFO = b"""\
<malloc version="1">
<heap nr="0">
<sizes>
  <size from="17" to="32" total="64" count="2"/>
  <unsorted from="65" to="161" total="1234" count="5"/>
</sizes>
<total type="fast" count="3" size="96"/>
<total type="rest" count="243" size="266386"/>
<system type="current" size="4153344"/>
<system type="max" size="5153344"/>
<aspace type="total" size="4153344"/>
<aspace type="mprotect" size="4153344"/>
</heap>
<heap nr="1">
<sizes>
</sizes>
<total type="fast" count="1" size="48"/>
<total type="rest" count="2" size="132865"/>
<system type="current" size="135168"/>
<system type="max" size="630784"/>
<aspace type="subheaps" size="1"/>
</heap>
<total type="fast" count="1" size="144"/>
<total type="rest" count="245" size="399251"/>
<total type="mmap" count="3" size="610304"/>
<system type="current" size="4288512"/>
<system type="max" size="4784128"/>
</malloc>
"""


@pytest.mark.parametrize(
    ("text", "arenas"),
    [
        pytest.param(
            INFO,
            [Arena(size=4153344, free=266482), Arena(size=135168, free=132913)],
            id="main-and-threads",
        ),
        pytest.param(
            INFO[: INFO.index(b'<heap nr="1">')] + b"</malloc>",
            [Arena(size=4153344, free=266482)],
            id="main-alone",
        ),
        pytest.param(b"<malloc>\n</malloc>\n", [], id="another-form"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_malloc_info(text, arenas) -> None:
    """Every arena is told with its size and what is free in it; the sum of all is none."""
    assert arenas == parse_malloc_info(text)


MAIN = Arena(size=1000, free=400)


@pytest.mark.parametrize(
    ("arenas", "size", "resident", "free"),
    [
        pytest.param([MAIN], 1000, 700, (100, 0), id="what-is-not-used-of-the-resident"),
        pytest.param([MAIN], 1000, 1000, (400, 0), id="all-resident"),
        pytest.param([MAIN], 1000, 500, (0, 0), id="less-resident-than-used"),
        pytest.param([MAIN], 950, 700, (150, 0), id="a-part-lies-elsewhere"),
        pytest.param([MAIN], 1200, 2000, (400, 0), id="no-more-than-is-free"),
        pytest.param(
            [MAIN, Arena(size=50, free=20), Arena(size=9, free=9)], 1000, 700, (129, 29),
            id="of-threads-all-that-is-free",
        ),
    ],
)  # fmt: skip
def test_free_of_arenas(arenas, size, resident, free) -> None:
    """Of the process's heap what is resident and not in use; of the others what is free."""
    assert free == free_of_arenas(arenas, size, resident)


def test_no_arenas() -> None:
    """Statistics that cannot be read are not taken for a full heap."""
    with pytest.raises(Unmeasurable, match="another form"):
        free_of_arenas([], 1, 1)


@pytest.mark.parametrize(
    ("smaps", "heap"),
    [
        pytest.param(SMAPS, (2048 * KIB, 1234 * KIB), id="heap-among-others"),
        pytest.param(SMAPS.replace(b"[heap]", b""), None, id="no-heap"),
        pytest.param(SMAPS[: SMAPS.index(b"Rss:                1234")], None, id="cut-off"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_main_heap(smaps, heap) -> None:
    """The heap's size and resident bytes are those of the mapping that bears its name."""
    assert heap == main_heap(smaps)


@pytest.mark.skipif(sys.platform != "linux", reason="the C heap is found in /proc")
def test_the_heap_is_found_wherever_it_stands(monkeypatch) -> None:
    """The kernel hands its list out a page at a time; the heap may come after the first."""
    heap = CHeap()
    taken = []

    def parts(_, size):
        for part in (SMAPS[:90], SMAPS[90:], b"never asked for"):
            taken.append((part, size))
            yield part

    monkeypatch.setattr(ProcFile, "parts", parts)
    assert heap._mapping() == (2048 * KIB, 1234 * KIB)
    assert [part for part, _ in taken] == [SMAPS[:90], SMAPS[90:]]
    monkeypatch.setattr(ProcFile, "parts", lambda *_: iter([b"no", b"heap"]))
    assert heap._mapping() is None


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_parts_of_a_long_list() -> None:
    """All that was asked for comes, though the kernel gives less than that at a time."""
    file = ProcFile("maps")
    size = len(Path("/proc/self/maps").read_bytes())
    parts = list(file.parts(10 * size))
    whole = b"".join(parts)
    assert len(parts) > 1
    assert whole.count(b"\n") > 50
    assert b"[stack]" in whole
    assert [len(part) for part in file.parts(100)] == [100]
