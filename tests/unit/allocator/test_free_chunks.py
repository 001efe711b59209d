"""Tests of reserving: free chunks do not decide how much a growing block takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_memguard.allocator.free_chunks import SMALLEST_BYTES, FreeChunks, free_chunks

linux = pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's heap")

PROGRAM = """
import json, psutil, sys
from array import array
from pytest_memguard.probes.peak_rss import PeakRss
from pytest_memguard.allocator.free_chunks import FreeChunks
from pytest_memguard.allocator.mmap_threshold import pin_mmap_threshold

COUNT = 512 * 1024

def grow_array():
    array("d", range(COUNT))

def grow_list():
    grown = []
    for _ in range(COUNT):
        grown.append(None)

def peak(grow, reserve):
    psutil.heap_trim()
    if reserve:
        chunks.reserve()
    base = mark.reset()
    grow()
    rise = mark.mark() - base
    chunks.release()
    return rise >> 10

pin_mmap_threshold()
mark, chunks = PeakRss(), FreeChunks()
grow = globals()[sys.argv[1]]
grow()
without = peak(grow, True)
blocks = [bytearray(100 * 1024) for _ in range(30)]
pin = bytearray(100 * 1024)
del blocks
level = mark.level()
chunks.reserve()
touched = mark.level() - level
chunks.release()
print(json.dumps([without, peak(grow, False), peak(grow, True), touched]))
"""


@linux
@pytest.mark.parametrize("grow", ["grow_array", "grow_list"])
def test_a_growing_block_takes_the_same_beside_a_free_chunk(grow: str) -> None:
    """A block that grows by realloc takes more beside a free chunk, unless it is reserved."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, grow], capture_output=True, text=True, check=True
    )
    without, beside, reserved, touched = json.loads(done.stdout)
    assert beside > without + 2 * 1024
    assert reserved < without + 512
    assert touched < SMALLEST_BYTES


ZEROS = """
from pytest_memguard.allocator.free_chunks import FreeChunks
from pytest_memguard.allocator.mmap_threshold import give_back_large_blocks
from pytest_memguard.probes.peak_rss import PeakRss
import psutil

give_back_large_blocks()
mark, chunks = PeakRss(), FreeChunks()
rows = [bytearray(300_000) for _ in range(40)]
kept = rows[::2]
del rows
psutil.heap_trim()
for reserve in (chunks.reserve, chunks.release):
    reserve()
    base = mark.reset()
    zeros = [bytes(250_000) for _ in range(20)]
    print(mark.mark() - base >> 10, len(chunks._reserved))
    del zeros
"""


@linux
def test_zeros_take_no_memory_beside_free_chunks() -> None:
    """What has to be cleared in a free chunk is not touched elsewhere; none is at the end."""
    done = subprocess.run(
        [sys.executable, "-c", ZEROS], capture_output=True, text=True, check=True
    )
    (reserved, chunks), (without, _) = (
        map(int, line.split()) for line in done.stdout.splitlines()
    )
    assert without > reserved + 1.5 * 1024
    assert chunks < 60


@linux
def test_all_of_it_is_given_back() -> None:
    """Reserving again and again takes no more than once."""
    chunks = FreeChunks()
    chunks.reserve()
    before = len(chunks._reserved)
    for _ in range(200):
        chunks.reserve()
    assert len(chunks._reserved) < before + 100
    chunks.release()
    assert chunks._reserved == []


def test_another_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library is another one, nothing can be reserved."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert free_chunks() is None
