"""Tests of files that are written whole or not at all, on real folders."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_memguard.storage.files import check_writable, write_whole

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it needs /proc")
posix_only = pytest.mark.skipif(os.name != "posix", reason="it needs POSIX permissions")


def files_in(folder: Path) -> list[str]:
    """Names of everything in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"a": 1}\n', id="text"),
        pytest.param("\u00fc \U0001f600\n", id="no-ascii"),
        pytest.param("0123456789\n" * 100_000, id="a-megabyte"),
    ],
)
def test_written(tmp_path, text) -> None:
    """The file has the text, as UTF-8, and nothing else is left in the folder."""
    path = tmp_path / "memory.json"
    write_whole(path, text)
    assert text.encode() == path.read_bytes().replace(b"\r\n", b"\n")
    assert files_in(tmp_path) == ["memory.json"]


def test_written_in_pieces(tmp_path) -> None:
    """Pieces come one after the other, and nothing is there before the last of them."""
    path = tmp_path / "memory.json"

    def pieces():
        yield "one "
        assert not path.exists()
        yield "two"

    write_whole(path, pieces())
    assert path.read_text(encoding="utf-8") == "one two"


def test_not_written_in_part(tmp_path) -> None:
    """A piece that cannot be made leaves what was there, and nothing beside it."""
    path = tmp_path / "memory.json"
    write_whole(path, "from before")

    def pieces():
        yield "one "
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, pieces())
    assert path.read_text(encoding="utf-8") == "from before"
    assert files_in(tmp_path) == ["memory.json"]


def test_replaces(tmp_path) -> None:
    """A file that was there before has the new text alone, even where it was longer."""
    path = tmp_path / "memory.json"
    write_whole(path, "a long text from before")
    write_whole(path, "short")
    assert path.read_text(encoding="utf-8") == "short"
    assert files_in(tmp_path) == ["memory.json"]


def test_makes_folders(tmp_path) -> None:
    """Folders on the way are made if they are not there."""
    path = tmp_path / "a" / "b" / "memory.json"
    write_whole(path, "text")
    assert path.read_text(encoding="utf-8") == "text"


def test_relative_path(tmp_path, monkeypatch) -> None:
    """A bare name is a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_whole(Path("memory.json"), "text")
    assert files_in(tmp_path) == ["memory.json"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("\udcff", UnicodeEncodeError, id="a-text-that-cannot-be-encoded"),
        pytest.param(7, TypeError, id="no-text"),
    ],
)
def test_not_half_written(tmp_path, text, error) -> None:
    """Where writing fails, the former file is still there, and no temporary file is left."""
    path = tmp_path / "memory.json"
    write_whole(path, "from before")
    with pytest.raises(error):
        write_whole(path, text)
    assert path.read_text(encoding="utf-8") == "from before"
    assert files_in(tmp_path) == ["memory.json"]


def test_folder_in_the_way(tmp_path) -> None:
    """A folder of that name is an OSError, and stays as it is."""
    path = tmp_path / "memory.json"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError, match=r"memory\.json"):
        write_whole(path, "text")
    assert files_in(tmp_path) == ["memory.json"]
    assert files_in(path) == ["inside"]


def test_file_in_the_way(tmp_path) -> None:
    """A path below a regular file is an OSError."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "memory.json", "text")


@linux_only
def test_folder_that_cannot_be_written() -> None:
    """A folder in which no file can be made is an OSError."""
    with pytest.raises(OSError, match=r"memory\.json"):
        write_whole(Path("/proc/self/memory.json"), "text")


@posix_only
def test_link_stays_a_link(tmp_path) -> None:
    """A link is followed: the file it leads to has the new text."""
    target, link = tmp_path / "folder" / "real.json", tmp_path / "memory.json"
    write_whole(target, "from before")
    link.symlink_to(target)
    write_whole(link, "text")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "text"
    assert files_in(target.parent) == ["real.json"]


@posix_only
def test_link_to_nothing_yet(tmp_path) -> None:
    """A link to a file that is not there makes that file."""
    target, link = tmp_path / "folder" / "real.json", tmp_path / "memory.json"
    link.symlink_to(target)
    write_whole(link, "text")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "text"


@posix_only
@pytest.mark.parametrize(
    ("mask", "mode"),
    [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o000, 0o666)],
    ids=["022", "077", "002", "000"],
)
def test_umask(tmp_path, mask, mode) -> None:
    """The file's permissions are those of any new file, and the mask is left alone."""
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "memory.json", "text")
    finally:
        after = os.umask(before)
    assert mode == stat.S_IMODE((tmp_path / "memory.json").stat().st_mode)
    assert mask == after


@pytest.mark.parametrize(
    "name", ["memory.json", "new/folder/memory.json"], ids=["here", "in-a-new-folder"]
)
def test_check_writable(tmp_path, name) -> None:
    """Where a file can be written there is no problem, and no file is left."""
    path = tmp_path / name
    assert check_writable(path) == ""
    assert files_in(path.parent) == []


def test_check_writable_leaves_the_file_alone(tmp_path) -> None:
    """A file that is there is not touched by the check."""
    path = tmp_path / "memory.json"
    path.write_text("from before", encoding="utf-8")
    assert check_writable(path) == ""
    assert path.read_text(encoding="utf-8") == "from before"


def test_check_writable_finds_a_folder(tmp_path) -> None:
    """A folder of that name is a reason."""
    assert check_writable(tmp_path) == "it is a folder, not a regular file"


def test_check_writable_finds_a_file_in_the_way(tmp_path) -> None:
    """A regular file where a folder should be is a reason."""
    (tmp_path / "file").touch()
    assert check_writable(tmp_path / "file" / "memory.json") in {
        "Not a directory",
        "File exists",
    }


@linux_only
def test_check_writable_finds_a_folder_that_cannot_be_written() -> None:
    """A folder in which no file can be made is a reason."""
    assert check_writable(Path("/proc/self/memory.json")) in {
        "No such file or directory",
        "Permission denied",
    }


def test_check_writable_without_words_of_the_system(tmp_path, monkeypatch) -> None:
    """An error to which the system has no words is reported in its own."""

    def refuse(**_):
        raise OSError("no room left")  # noqa: EM101, TRY003  as a library might

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert check_writable(tmp_path / "memory.json") == "no room left"
