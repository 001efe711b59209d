"""Holes of the C heap do not decide what a growing block takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_memguard.allocator.free_chunks import SMALLEST, Holes, holes

linux = pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's heap")

PROGRAM = """
import json, psutil, sys
from array import array
from pytest_memguard.probes.peak_rss import KernelMark
from pytest_memguard.allocator.free_chunks import Holes
from pytest_memguard.allocator.mmap_threshold import steady_allocator

COUNT = 512 * 1024

def grow_array():
    array("d", range(COUNT))

def grow_list():
    grown = []
    for _ in range(COUNT):
        grown.append(None)

def peak(grow, plug):
    psutil.heap_trim()
    if plug:
        plugs.plug()
    base = mark.reset()
    grow()
    rise = mark.mark() - base
    plugs.unplug()
    return rise >> 10

steady_allocator()
mark, plugs = KernelMark(), Holes()
grow = globals()[sys.argv[1]]
grow()
without = peak(grow, True)
blocks = [bytearray(100 * 1024) for _ in range(30)]
pin = bytearray(100 * 1024)
del blocks
level = mark.level()
plugs.plug()
touched = mark.level() - level
plugs.unplug()
print(json.dumps([without, peak(grow, False), peak(grow, True), touched]))
"""


@linux
@pytest.mark.parametrize("grow", ["grow_array", "grow_list"])
def test_a_growing_block_takes_the_same_beside_a_hole(grow: str) -> None:
    """A hole of 3 MiB makes a block that grows by realloc take more; plugged, it does not."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, grow], capture_output=True, text=True, check=True
    )
    without, beside, plugged, touched = json.loads(done.stdout)
    assert beside > without + 2 * 1024
    assert plugged < without + 512
    assert touched < SMALLEST


@linux
def test_all_of_it_is_given_back() -> None:
    """Plugging again and again takes no more than once."""
    plugs = Holes()
    plugs.plug()
    before = len(plugs._plugs)
    for _ in range(200):
        plugs.plug()
    assert len(plugs._plugs) < before + 100
    plugs.unplug()
    assert plugs._plugs == []


def test_another_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library is another one, there is nothing to plug with."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert holes() is None
