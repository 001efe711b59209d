"""Tests of noticing who resets the kernel's high-water mark of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_memguard.probes.mark_resets import ResetWatch, opened_by_us
from pytest_memguard.probes.peak_rss import PeakRss

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has inotify")
WRITE = "open('/proc/{name}/clear_refs', 'w').write('5')"


@pytest.fixture
def watch() -> Iterator[ResetWatch]:
    """A watch on this process."""
    made = ResetWatch()
    yield made
    made.close()


@pytest.fixture
def mark() -> Iterator[PeakRss]:
    """The kernel's mark of this process, with a watch of its own."""
    made = PeakRss()
    yield made
    made.close()


def reset(name: str = "self") -> None:
    """Reset the mark as other code would."""
    Path(f"/proc/{name}/clear_refs").write_text("5", encoding="ascii")


@pytest.mark.parametrize("name", ["self", "thread-self", "{pid}", "self/task/{pid}"])
def test_reset_by_this_process(watch, name) -> None:
    """Every name of the file is known, from the start of a phase to its end."""
    assert not watch.seen()
    reset(name.format(pid=os.getpid()))
    assert watch.seen()
    assert watch.seen()
    watch.start()
    assert not watch.seen()


@pytest.mark.parametrize(
    ("seen", "name"),
    [pytest.param(True, "{pid}", id="parent"), pytest.param(False, "self", id="itself")],
)
def test_reset_by_a_child(watch, seen, name) -> None:
    """A process that resets our mark is seen, one that resets its own is not."""
    code = WRITE.format(name=name.format(pid=os.getpid()))
    subprocess.run([sys.executable, "-c", code], check=True)
    assert seen is watch.seen()


def test_reset_by_us(watch, mark) -> None:
    """Resets by memguard itself are not reported."""
    mark.reset()
    mark.file.reopen()
    mark.reset()
    assert not watch.seen()
    assert not mark.lost


def test_reset_before_we_open(watch) -> None:
    """Resets by other code before memguard opens the file are still reported."""
    reset()
    with opened_by_us(), Path("/proc/self/clear_refs").open("w", encoding="ascii"):
        pass
    assert watch.seen()


def test_mark_says_so(mark) -> None:
    """A mark that was reset by others is lost until the next phase starts."""
    mark.start()
    assert not mark.reset_by_others()
    reset()
    assert mark.reset_by_others()
    mark.reset()
    assert "clear_refs" in mark.lost
    mark.start()
    assert not mark.lost


def test_descriptor_that_was_closed(watch) -> None:
    """Code that closes every descriptor ends the watch no longer than to the next phase."""
    os.close(watch._descriptor.number)
    watch.start()
    reset()
    assert watch.seen()


def test_descriptor_of_another_file(watch, tmp_path) -> None:
    """Nothing is read from a file that has got the descriptor's number."""
    path = tmp_path / "mine"
    path.write_bytes(b"mine")
    number = watch._descriptor.number
    with path.open("rb") as mine:
        os.dup2(mine.fileno(), number)
        watch.start()
        assert not watch.seen()
        assert os.read(number, 4) == b"mine"
        os.close(number)


def test_forked_child(watch) -> None:
    """A child watches itself, and takes nothing of what its parent is to see."""
    child = os.fork()
    if not child:
        before = watch.seen()
        reset()
        os._exit(0 if watch.seen() and not before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not watch.seen()
    reset()
    assert watch.seen()


def test_closed_watch(watch) -> None:
    """A closed watch sees nothing and may still be read."""
    watch.close()
    reset()
    assert not watch.seen()


def test_no_inotify(monkeypatch) -> None:
    """Where the kernel has no inotify left, the mark works without a watch."""

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("pytest_memguard.probes.mark_resets.ResetWatch._open", refuse)
    mark = PeakRss()
    mark.start()
    reset()
    assert mark.resets is None
    assert not mark.lost
    assert not mark.reset_by_others()
    mark.close()
