"""Tests of what the allocators' own statistics say about free room."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.free_room import (
    FreeRoom,
    FreeRoomProbe,
    main_heap,
    parse_malloc_stats,
)
from pytest_memguard.probes.resident import ProcFile
from pytest_memguard.units import KIB

STATISTICS = b"""\
Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    0     16           1             135           886
    1     32           3            1150             0
   31    512           2              50            12

# arenas allocated total           =                    4
# arenas reclaimed                 =                    0
4 arenas * 1048576 bytes/arena     =            4,194,304

# bytes in allocated blocks        =            3,418,304
# bytes in available blocks        =              307,280
26 unused pools * 16384 bytes      =              425,984
# bytes lost to pool headers       =               10,992
Total                              =            4,194,304

      0 free PyCFunctionObjects * 56 bytes each =                    0
"""

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


def test_statistics() -> None:
    """Free places are told by size, and free pools by number; what is full is left out."""
    assert FreeRoom(
        blocks=((16, 886), (512, 12)), pools=26, pool_size=16384
    ) == parse_malloc_stats(STATISTICS)


@pytest.mark.parametrize("text", [b"", b"\n"], ids=["empty", "blank"])
def test_no_statistics(text) -> None:
    """Where pymalloc is not in use, it holds nothing free."""
    assert FreeRoom() == parse_malloc_stats(text)


def test_statistics_of_another_form() -> None:
    """Statistics that cannot be read are not taken for an empty heap."""
    with pytest.raises(Unmeasurable, match="another form"):
        parse_malloc_stats(STATISTICS.replace(b"unused pools", b"idle pools"))


@pytest.mark.parametrize(
    ("room", "total"),
    [
        pytest.param(FreeRoom(), 0, id="none"),
        pytest.param(FreeRoom(blocks=((16, 10), (512, 2))), 1184, id="places"),
        pytest.param(FreeRoom(pools=3, pool_size=16384), 49152, id="pools"),
        pytest.param(FreeRoom(malloc=77), 77, id="chunks"),
        pytest.param(
            FreeRoom(blocks=((16, 1),), pools=1, pool_size=4096, malloc=5), 4117, id="all"
        ),
    ],
)
def test_total(room, total) -> None:
    """The room is the sum of what pymalloc and the C heap hold free."""
    assert total == room.total


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
    probe = FreeRoomProbe()
    taken = []

    def parts(_, size):
        for part in (SMAPS[:90], SMAPS[90:], b"never asked for"):
            taken.append((part, size))
            yield part

    monkeypatch.setattr(ProcFile, "parts", parts)
    assert probe._main_heap() == (2048 * KIB, 1234 * KIB)
    assert [part for part, _ in taken] == [SMAPS[:90], SMAPS[90:]]
    monkeypatch.setattr(ProcFile, "parts", lambda *_: iter([b"no", b"heap"]))
    assert probe._main_heap() is None


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
