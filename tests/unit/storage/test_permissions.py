"""Tests of what a file keeps that is replaced: its mode, its owner and its group."""

from __future__ import annotations

import os
import stat

import pytest

from pytest_memguard.storage.files import write_whole

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it needs POSIX permissions")


def mode_of(path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o755], ids=oct)
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000], ids=oct)
def test_mode_is_kept(tmp_path, mode, mask) -> None:
    """A file that is replaced has the mode it had, whatever the mask is."""
    path = tmp_path / "baseline.json"
    path.touch()
    path.chmod(mode)
    before = os.umask(mask)
    try:
        write_whole(path, "text")
    finally:
        os.umask(before)
    assert mode == mode_of(path)
    assert path.read_text(encoding="utf-8") == "text"


def test_mode_behind_a_link(tmp_path) -> None:
    """The file a link leads to is replaced and keeps its mode."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    target.chmod(0o600)
    link.symlink_to("target")
    write_whole(link, "text")
    assert link.is_symlink()
    assert mode_of(target) == 0o600
    assert target.read_text(encoding="utf-8") == "text"


def test_never_wider_meanwhile(tmp_path, monkeypatch) -> None:
    """While it is written, the new file is never readable for more than the old one was."""
    path = tmp_path / "baseline.json"
    path.touch()
    path.chmod(0o600)
    seen = []
    sync = os.fsync

    def record_mode(descriptor):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", record_mode)
    write_whole(path, "text")
    assert seen == [0o600]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="it needs root")
def test_owner_and_group_are_kept(tmp_path) -> None:
    """Root replaces the file of another user, who stays its owner."""
    path = tmp_path / "baseline.json"
    path.touch()
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    write_whole(path, "text")
    status = path.stat()
    assert (status.st_uid, status.st_gid, mode_of(path)) == (1234, 2345, 0o640)


@pytest.mark.parametrize(
    ("mode", "allowed", "expected"),
    [
        pytest.param(0o664, (), 0o644, id="group-lost"),
        pytest.param(0o640, (), 0o600, id="private-group-lost"),
        pytest.param(0o640, (-1,), 0o640, id="group-kept"),
        pytest.param(0o640, (-1, 4321), 0o640, id="both-kept"),
    ],
)
def test_what_may_not_be_kept(tmp_path, monkeypatch, mode, allowed, expected) -> None:
    """Where the group cannot be kept, another group does not get its rights."""
    path = tmp_path / "baseline.json"
    path.touch()
    path.chmod(mode)
    real = type(path).stat
    theirs = list(path.stat())
    theirs[4], theirs[5] = 4321, 5432

    def changed_stat(self, **kwargs):
        return os.stat_result(theirs) if self == path else real(self, **kwargs)

    given = []

    def give(_, owner, group):
        given.append((owner, group))
        if owner not in allowed:
            raise PermissionError

    monkeypatch.setattr(type(path), "stat", changed_stat)
    monkeypatch.setattr(os, "chown", give)
    write_whole(path, "text")
    monkeypatch.undo()
    assert expected == mode_of(path)
    assert given[0] == (4321, 5432)
