"""Reads and writes whole files, and refuses what is not a regular file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISSOCK, "socket"),
)
# Opening a pipe waits for its other end, and opening a terminal may make it this process's.
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_STANDARD: Final = {"/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")


def not_regular(path: Path) -> str:
    """Return what is at a path instead of a regular file, in words.

    Args:
        path: the path; links are followed.

    Returns:
        A sentence; empty if there is a regular file, or nothing.
    """
    try:
        return _irregular(path.stat())
    except (OSError, ValueError):  # opening it says what is wrong
        return ""


def _irregular(status: os.stat_result) -> str:
    kind = next((word for is_kind, word in _KINDS if is_kind(status.st_mode)), "")
    if not kind and not stat.S_ISREG(status.st_mode):
        kind = "special file"
    return f"it is a {kind}, not a regular file" if kind else ""


def read_text(path: Path) -> str:
    """Return the text of a regular file.

    Args:
        path: the path; links are followed.

    Raises:
        OSError: if it cannot be read, or is not a regular file.
        UnicodeDecodeError: if it is not UTF-8.
    """
    with os.fdopen(open_regular(path), encoding="utf-8") as file:
        return file.read()


def open_regular(path: Path) -> int:
    """Open a regular file for reading; do not block on anything else.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        OSError: if it cannot be opened, or is not a regular file.
    """
    _refuse(path, path.stat())  # to open a device may set it going
    return _checked(path, os.open(path, os.O_RDONLY | _AT_ONCE))


def append_text(path: Path, text: str) -> None:
    """Append to a text file; what UTF-8 cannot encode becomes a question mark.

    Args:
        path: the file; it is made if it does not exist.
        text: what to append.

    Raises:
        OSError: if it cannot be written, or is not a regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        _refuse(path, path.stat())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _AT_ONCE
    descriptor = _checked(path, os.open(path, flags, 0o666))
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _checked(path: Path, descriptor: int) -> int:
    """Return a descriptor if it is that of a regular file: the path may have changed."""
    try:
        _refuse(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(path: Path, status: os.stat_result) -> None:
    problem = _irregular(status)
    if problem:
        raise OSError(errno.EINVAL, problem, str(path))


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Write a text file so that no reader ever sees a part of it.

    An existing file keeps its permissions, its group and, if the system allows it, its owner. A
    link stays a link, and the file that it leads to is replaced.

    Args:
        path: the file; its folder is made. The name of an open descriptor, such as
            ``/dev/stdout``, is written to.
        text: the whole content, at once or in pieces.

    Raises:
        OSError: if it cannot be written; the old file is still there.
    """
    pieces = (text,) if isinstance(text, str) else text
    descriptor = _own_descriptor(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        return
    path = _target(path)
    before = _status(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    # the system applies the umask to a new file; one that is replaced may be more private
    mode = 0o666 if before is None else 0o600
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            _keep_permissions(written, before)
        written.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            written.unlink()
        raise


def check_writable(path: Path) -> str:
    """Return why a file could not be written; empty if it can."""
    try:
        descriptor = _own_descriptor(path)
        if descriptor is not None:
            os.write(descriptor, b"")  # fails where it is not open, or for reading alone
            return ""
        path = _target(path)
        _status(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _own_descriptor(path: Path) -> int | None:
    """Return the open descriptor of this process that a path names, if it names one."""
    if os.name != "posix":
        return None
    named = _DESCRIPTOR.fullmatch(str(path))
    return int(named[1]) if named else _STANDARD.get(str(path))


def _target(path: Path) -> Path:
    """Return the file that a path leads to.

    Raises:
        OSError: if links form a circle.
    """
    try:
        return path.resolve()
    except RuntimeError as error:  # Python before 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error


def _status(path: Path) -> os.stat_result | None:
    """Return the status of the file to be replaced; ``None`` if there is none.

    Raises:
        OSError: if it is not a regular file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    _refuse(path, status)
    return status


def _keep_permissions(written: Path, before: os.stat_result) -> None:
    """Give a new file the owner, group and mode of the one it replaces, if allowed."""
    mode = stat.S_IMODE(before.st_mode)
    if not _give(written, before):
        # members of another group must not get the rights of the old group
        mode = (mode & ~0o070) | ((mode & 0o007) << 3)
    written.chmod(mode)


def _give(written: Path, before: os.stat_result) -> bool:
    """Return whether the file has the group of the one it replaces."""
    now = written.stat()
    if sys.platform == "win32" or (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid):
        return True
    for owner in (before.st_uid, -1):  # only root may give a file away
        with contextlib.suppress(OSError):
            os.chown(written, owner, before.st_gid)
            return True
    return False
