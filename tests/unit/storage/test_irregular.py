"""Tests of what stands at a path in place of a regular file: it is named, and never opened."""

from __future__ import annotations

import os
import socket
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.past_runs import HistoryLocation
from pytest_memguard.storage.baseline import read_baseline, update_baseline, write_baseline
from pytest_memguard.storage.database import StoreError
from pytest_memguard.storage.experiments import COLUMNS, append_line
from pytest_memguard.storage.files import (
    append_text,
    check_writable,
    not_regular,
    read_text,
    write_whole,
)
from pytest_memguard.storage.history_location import check_location, open_to_read, open_to_write
from pytest_memguard.storage.known_leaks import read_known, write_known
from tests.support.large_baselines import baseline_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it needs pipes with a name")


@pytest.fixture(params=["folder", "named pipe", "device", "socket", "link to a named pipe"])
def irregular(request, tmp_path):
    """A path at which something else than a regular file stands, and the word for it."""
    path = tmp_path / "there"
    kind = request.param
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "socket":
        # the name of a socket must not be longer than about a hundred bytes
        with tempfile.TemporaryDirectory(dir="/tmp") as short:
            path = Path(short, "s")
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
                yield path, "socket"
        return
    else:
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "pipe"
        if kind.startswith("link"):
            path = tmp_path / "link"
            path.symlink_to("pipe")
            kind = "named pipe"
    yield path, kind


def open_and_close(open_history, path):
    """Open a history and close it again."""
    open_history(HistoryLocation(text=str(path))).close()


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(read_text, id="read"),
        pytest.param(lambda path: append_text(path, "text"), id="append"),
        pytest.param(lambda path: write_whole(path, "text"), id="write"),
        pytest.param(read_baseline, id="baseline-read"),
        pytest.param(lambda path: write_baseline(path, baseline_of(1)), id="baseline-write"),
        pytest.param(
            lambda path: update_baseline(path, lambda _: baseline_of(1)), id="baseline-update"
        ),
        pytest.param(read_known, id="leaks-read"),
        pytest.param(lambda path: write_known(path, []), id="leaks-write"),
        pytest.param(lambda path: append_line(path, ["a"] * len(COLUMNS)), id="experiments"),
        pytest.param(lambda path: open_and_close(open_to_read, path), id="history-read"),
        pytest.param(lambda path: open_and_close(open_to_write, path), id="history-write"),
        pytest.param(
            lambda path: check_location(HistoryLocation(text=str(path))), id="history"
        ),
    ],
)
def test_refused(irregular, use) -> None:
    """Every use is refused at once, with what the path is, and the path is left alone."""
    path, kind = irregular
    before = stat.S_IFMT(path.stat().st_mode)
    with pytest.raises((OSError, ConfigError, StoreError)) as caught:
        use(path)
    assert f"it is a {kind}, not a regular file" in str(caught.value)
    assert before == stat.S_IFMT(path.stat().st_mode)


def test_refused_before_there_is_anything_to_write(irregular) -> None:
    """The check before the first test names what it is."""
    path, kind = irregular
    expected = f"it is a {kind}, not a regular file"
    assert expected == check_writable(path)
    assert expected == not_regular(path)


@pytest.mark.parametrize("made", ["missing", "file", "link", "link to nothing"])
def test_regular(tmp_path, made) -> None:
    """A regular file, a link to one, and what is not there yet are not refused."""
    path = tmp_path / "it"
    if made == "file":
        path.touch()
    elif made.startswith("link"):
        path.symlink_to("target")
        if made == "link":
            (tmp_path / "target").touch()
    assert not_regular(path) == ""
    assert check_writable(path) == ""


def count_descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


@pytest.mark.parametrize("use", [read_text, lambda path: append_text(path, "text")])
def test_put_there_between_check_and_use(tmp_path, monkeypatch, use) -> None:
    """A pipe that takes the place of a file before it is opened is refused after it is."""
    path, other = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(path)
    other.touch()
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    descriptors = count_descriptors()
    regular = other.stat()
    monkeypatch.setattr(Path, "stat", lambda _: regular)
    with pytest.raises(OSError, match="it is a named pipe, not a regular file"):
        use(path)
    assert descriptors == count_descriptors()
    os.close(reader)


def test_links_in_a_circle(tmp_path) -> None:
    """Links that lead to each other are an OSError, before and after."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "symbolic links" in check_writable(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", "text")


@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_open_descriptor(tmp_path, form, kind) -> None:
    """A path that stands for an open descriptor is written to, where it is."""
    if sys.platform != "linux" and "proc" in form:
        pytest.skip("it needs /proc")
    file = tmp_path / "file"
    reader, writer = os.pipe()
    if kind == "file":
        os.close(reader)
        os.close(writer)
        writer = os.open(file, os.O_RDWR | os.O_CREAT)
        reader = os.open(file, os.O_RDONLY)
    os.write(writer, b"before\n")
    path = Path(form.format(writer))
    assert check_writable(path) == ""
    write_whole(path, "text\n")
    os.write(writer, b"after\n")
    assert os.read(reader, 100) == b"before\ntext\nafter\n"
    os.close(reader)
    os.close(writer)


def test_descriptor_that_cannot_be_written() -> None:
    """A descriptor has to be open, and for writing."""
    reader, writer = os.pipe()
    os.close(writer)
    assert check_writable(Path(f"/dev/fd/{reader}")) == "Bad file descriptor"
    os.close(reader)
    assert check_writable(Path(f"/dev/fd/{reader}")) == "Bad file descriptor"
