"""Files under /proc that are kept open, whatever a test does to its descriptors."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes import resident as module
from pytest_memguard.probes.resident import ProcFile, resident_reader
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self")


@pytest.fixture
def statm() -> ProcFile:
    """A file that can be read."""
    return ProcFile("statm")


def _number(file: ProcFile) -> int:
    return file.descriptor


def test_a_closed_file_is_opened_again(statm: ProcFile) -> None:
    """Code that closes every descriptor does not stop the reading."""
    os.close(_number(statm))
    assert int(statm.read(64).split()[1]) > 0


def test_nothing_is_written_into_the_file_of_a_test(tmp_path: Path) -> None:
    """A descriptor that now belongs to another file is left alone."""
    clear = ProcFile("clear_refs", os.O_WRONLY)
    number = _number(clear)
    path = tmp_path / "mine.txt"
    with path.open("wb") as mine:
        os.dup2(mine.fileno(), number)
        clear.write(b"5")
        assert _number(clear) != number
        os.close(number)
    assert path.read_bytes() == b""


def test_files_of_memguard_are_told_apart(statm: ProcFile) -> None:
    """A file that got the descriptor number of another is not mistaken for it."""
    other = ProcFile("status")
    os.dup2(_number(statm), _number(other))
    assert other.read(4096).startswith(b"Name:")


def test_a_child_reads_its_own() -> None:
    """A forked process does not read its parent's memory."""
    process = ProcFile("stat")
    child = os.fork()
    if not child:
        read = int(process.read(64).split()[0])
        os._exit(0 if read == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert int(process.read(64).split()[0]) == os.getpid()


def test_resident_memory_follows_a_block() -> None:
    """Memory counts as soon as it is touched."""
    resident = resident_reader()
    before = resident()
    with mmap.mmap(-1, 8 * MIB) as block:  # malloc might have as much lying about
        for page in range(0, 8 * MIB, mmap.PAGESIZE):
            block[page] = 1
        assert resident() - before > 7 * MIB


def test_resident_memory_of_no_other_file(tmp_path: Path) -> None:
    """Text in place of the file's content is not read as a level."""
    resident = resident_reader()
    before = resident()
    number = _number(resident.__closure__[0].cell_contents)
    path = tmp_path / "other.txt"
    path.write_text("7 7", encoding="ascii")
    with path.open("rb") as other:
        os.dup2(other.fileno(), number)
        assert resident() == pytest.approx(before, rel=0.2)
    os.close(number)
    assert resident() == pytest.approx(before, rel=0.2)


def _no_files(name: str, *_: object) -> None:
    raise FileNotFoundError(2, "No such file or directory", name)


def test_no_source_of_resident_memory(monkeypatch) -> None:
    """If neither /proc nor psutil reports it, there is one sentence that says so."""
    import psutil

    monkeypatch.setattr(module, "ProcFile", _no_files)
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/nowhere")
    with pytest.raises(Unmeasurable) as caught:
        resident_reader()
    assert str(caught.value) == (
        "psutil cannot read resident memory (NoSuchProcess), and there is no "
        "/proc/self/statm (No such file or directory)"
    )


def test_a_file_that_is_gone(monkeypatch) -> None:
    """A level that can no longer be read is no error of another kind."""
    resident = resident_reader()
    monkeypatch.setattr(ProcFile, "_open", _no_files)
    os.close(_number(resident.__closure__[0].cell_contents))
    with pytest.raises(Unmeasurable, match="/proc/self/statm can no longer be read"):
        resident()


def test_a_child_without_proc(monkeypatch, capfd) -> None:
    """A forked process without /proc gets no error, and reads nothing of its parent."""
    process = ProcFile("stat")
    monkeypatch.setattr(ProcFile, "_open", _no_files)
    child = os.fork()
    if not child:
        try:
            process.read(64)
        except FileNotFoundError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert capfd.readouterr().err == ""
