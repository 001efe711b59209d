"""Tests of what glibc and the kernel say about free memory of the C heap."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_memguard.probes.c_heap import (
    Arena,
    CHeap,
    free_of_arenas,
    parse_malloc_info,
    range_of_heap,
)
from pytest_memguard.sizes import KIB, MIB

MAPS = b"""\
55d0c0a00000-55d0c0a01000 r--p 00000000 08:01 123    /usr/bin/python3
55d0c1c00000-55d0c1e00000 rw-p 00000000 00:00 0      [heap]
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0      [stack]
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
    """Every arena is reported with its size and what is free in it; the sum of all is none."""
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


@pytest.mark.skipif(sys.platform != "linux", reason="the C heap is found in /proc")
def test_statistics_of_another_form(monkeypatch) -> None:
    """Where the arenas cannot be distinguished, all that is free counts, and nothing fails."""
    heap = CHeap()
    info = SimpleNamespace(fordblks=77, arena=10**15)
    library = SimpleNamespace(
        mallinfo2=lambda: info, sbrk=heap._libc.sbrk, mincore=heap._libc.mincore,
    )  # fmt: skip
    monkeypatch.setattr(heap, "_libc", library)
    monkeypatch.setattr(heap, "printed", lambda _: b"<malloc>another form</malloc>")
    assert heap.free() == (77, 77)


@pytest.mark.parametrize(
    ("maps", "heap"),
    [
        pytest.param(MAPS, range(0x55D0C1C00000, 0x55D0C1E00000), id="heap-among-others"),
        pytest.param(
            MAPS + b"55d0c1e00000-55d0c1e80000 r--p 00000000 00:00 0      [heap]\n",
            range(0x55D0C1C00000, 0x55D0C1E80000),
            id="in-two-parts",
        ),
        pytest.param(MAPS.replace(b"[heap]", b""), None, id="no-heap"),
        pytest.param(MAPS.replace(b"[heap]", b"/srv/[heap].so"), None, id="a-like-name"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_range_of_heap(maps, heap) -> None:
    """The heap lies where the mapping that bears its name does."""
    assert heap == range_of_heap(maps)


@pytest.mark.skipif(sys.platform != "linux", reason="the C heap is found in /proc")
def test_the_heap_is_as_the_kernel_says() -> None:
    """Size and resident part are those that the kernel has in its own list."""
    heap = CHeap()
    between = []
    for _ in range(2):  # reading the list may move the heap itself
        size, resident = heap._mapping()
        listed = Path("/proc/self/smaps").read_text(encoding="utf-8")
        found = re.search(r"\[heap\]\nSize: +(\d+) kB\n(?:.*\n)*?Rss: +(\d+) kB", listed)
        between.append((size - int(found[1]) * KIB, resident - int(found[2]) * KIB))
    assert min(abs(size) for size, _ in between) <= MIB
    assert min(abs(resident) for _, resident in between) <= 2 * MIB
    assert resident <= size


@pytest.mark.skipif(sys.platform != "linux", reason="the C heap is found in /proc")
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"sbrk": lambda _: None}, id="no-end"),
        pytest.param({"mincore": lambda *_: -1}, id="no-answer"),
    ],
)
def test_where_the_heap_cannot_be_seen_all_that_is_free_counts(monkeypatch, broken) -> None:
    """A heap whose resident part is not known is taken for resident."""
    heap = CHeap()
    library = SimpleNamespace(mallinfo2=lambda: SimpleNamespace(fordblks=77), **broken)
    library.sbrk = getattr(library, "sbrk", heap._libc.sbrk)
    monkeypatch.setattr(heap, "_libc", library)
    assert heap.free() == (77, 77)
