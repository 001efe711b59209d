"""Tests of the files that memray writes: where they are, and what is left of them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_memguard.probes import tracker_files
from pytest_memguard.probes.heap import HeapTracker, TrackerFolder
from pytest_memguard.probes.surviving_blocks import SurvivorTracker

pytest.importorskip("memray")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it needs /proc")
KILLED = """
import sys, time
from pytest_memguard.probes.heap import HeapTracker, TrackerFolder
from pytest_memguard.probes.surviving_blocks import SurvivorTracker

folder = TrackerFolder()
if sys.argv[1] == "heap":
    tracker = HeapTracker(folder)
else:
    tracker = SurvivorTracker(folder)
    tracker.start()
blocks = [bytes(1000) for _ in range(100_000)]
print("tracking", flush=True)
time.sleep(60)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def is_open(descriptor) -> bool:
    """Whether a descriptor is open."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def number_of(file) -> int:
    """The descriptor of a file without a name."""
    return int(file.path.rpartition("/")[2])


def track(folder) -> tuple[int, int]:
    """Track two lists of blocks one after the other: their peaks in MB."""
    peaks = []
    for _ in range(2):
        tracker = HeapTracker(folder)
        blocks = [bytearray(100_000) for _ in range(100)]
        file = tracker.stop()
        del blocks
        peaks.append(file.peak // 1_000_000)
        assert file.written > 0
        assert list(file.at_peak())
        file.close()
    return tuple(peaks)


@linux_only
def test_no_file_has_a_name(temporary) -> None:
    """While memray tracks there is nothing in the folder for temporary files."""
    folder = TrackerFolder()
    tracker = HeapTracker(folder)
    during = list(temporary.iterdir())
    file = tracker.stop()
    assert during == list(temporary.iterdir()) == []
    descriptor = number_of(file._file)
    assert is_open(descriptor)
    file.close()
    assert not is_open(descriptor)
    folder.close()


@linux_only
@pytest.mark.parametrize("missing", ["none", "nameless files", "/proc", "all"])
def test_peaks(temporary, monkeypatch, missing) -> None:
    """Peaks are the same wherever the file is, and nothing is left of it."""
    real = os.open

    def open_some(path, flags, mode=0o777):
        nameless = flags & os.O_TMPFILE == os.O_TMPFILE
        if missing in {"nameless files", "all"} and nameless:
            raise OSError(errno.EOPNOTSUPP, "no such files here")
        if missing in {"/proc", "all"} and str(path).startswith("/proc/self/fd"):
            raise OSError(errno.ENOENT, "no /proc here")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", open_some)
    folder = TrackerFolder()
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder.prepare()
    named = missing in {"/proc", "all"}
    assert named == bool(list(temporary.iterdir()))
    assert track(folder) == (10, 10)
    folder.close()
    assert list(temporary.iterdir()) == []


def test_without_descriptors_of_that_kind(temporary, monkeypatch) -> None:
    """Where the system has no such files, they are in a folder that goes with the last one."""

    def refuse():
        raise ImportError

    monkeypatch.setattr("pytest_memguard.probes.heap.System", refuse)
    folder = TrackerFolder()
    assert track(folder) == (10, 10)
    assert [path.name[:9] for path in temporary.iterdir()] == ["memguard-"]
    folder.close()
    assert list(temporary.iterdir()) == []


@linux_only
def test_found_out_before_the_tests(temporary, monkeypatch, tmp_path) -> None:
    """A test that changes the folder, or functions of the system, changes nothing of ours."""
    folder = TrackerFolder()
    folder.prepare()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    for name in ("open", "close", "fstat", "unlink", "dup"):
        monkeypatch.setattr(os, name, None)
    try:
        file = folder.new_file()
        size = file.size()
        file.close()
    finally:
        monkeypatch.undo()
    assert size == 0
    assert list(temporary.iterdir()) == []


@linux_only
def test_a_number_that_became_another_files() -> None:
    """A descriptor that a test has closed and opened as its own is left alone."""
    file = TrackerFolder().new_file()
    descriptor = number_of(file)
    os.close(descriptor)
    other = os.open("/dev/null", os.O_RDONLY)
    os.dup2(other, descriptor)
    file.close()
    assert is_open(descriptor)
    os.close(descriptor)
    os.close(other)


@linux_only
def test_closed_twice() -> None:
    """Closing a file again does not close the next one, which has its number."""
    folder = TrackerFolder()
    first = folder.new_file()
    first.close()
    second = folder.new_file()
    assert number_of(first) == number_of(second)
    first.close()
    assert is_open(number_of(second))
    second.close()


@linux_only
def test_forgotten() -> None:
    """A file whose owner is garbage is closed."""
    file = TrackerFolder().new_file()
    descriptor = number_of(file)
    assert descriptor >= tracker_files._ABOVE_OTHERS
    del file
    assert not is_open(descriptor)


@linux_only
def test_a_tracker_that_cannot_start(temporary) -> None:
    """Where memray is busy, nothing is left of the second file."""
    folder = TrackerFolder()
    first = HeapTracker(folder)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(Exception, match="memray tracks something else"):
        HeapTracker(folder)
    second = SurvivorTracker(folder)
    second.start()
    second.stop()
    assert second.note
    del second
    assert before == set(Path("/proc/self/fd").iterdir())
    first.stop().close()
    assert list(temporary.iterdir()) == []


@linux_only
@pytest.mark.parametrize("kind", ["heap", "survivors"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed(tmp_path, kind, number) -> None:
    """A process that is killed while memray tracks leaves no file and no folder behind."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, kind],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    ) as process:
        assert process.stdout.readline() == "tracking\n"
        process.send_signal(number)
    assert process.returncode == -number
    assert list(tmp_path.iterdir()) == []
