"""Tests of the memory that a process has for itself."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys

import pytest

from pytest_memguard.probes.own_memory import own_memory_of, own_memory_reader
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RSS is read")


def test_own_memory(tmp_path) -> None:
    """Memory that belongs to no file counts; a mapped file does not."""
    own = own_memory_reader()
    path = tmp_path / "mapped"
    path.write_bytes(b"x" * (20 * MIB))
    before = own()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert view[:: mmap.PAGESIZE]
        assert own() - before < 5 * MIB
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    block = mmap.mmap(-1, 20 * MIB, private)  # none of it is memory that was freed before
    before = own()
    for at in range(0, 20 * MIB, mmap.PAGESIZE):
        block[at] = 1
    assert 19 * MIB < own() - before < 25 * MIB
    assert abs(own() - own_memory_of(os.getpid())) < MIB
    assert block


def test_closed_file() -> None:
    """If a test has closed the file, it is opened again."""
    own = own_memory_reader()
    file = next(
        cell.cell_contents for cell in own.__closure__ if hasattr(cell.cell_contents, "reopen")
    )
    os.close(file.descriptor)
    assert own() > MIB


def test_ended_process() -> None:
    """Nothing is known of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert own_memory_of(process.pid) is None
