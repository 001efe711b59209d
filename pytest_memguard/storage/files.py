"""Files read and written whole, and refused where something else than a file stands."""

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
    """What stands at a path in place of a regular file, in words.

    Args:
        path: a link is followed.

    Returns:
        A sentence; empty if it is a regular file, or nothing.
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
    """The text of a regular file.

    Args:
        path: a link is followed.

    Raises:
        OSError: if it cannot be read, or is something else than a regular file.
        UnicodeDecodeError: if it is no text.
    """
    with os.fdopen(open_regular(path), encoding="utf-8") as file:
        return file.read()


def open_regular(path: Path) -> int:
    """Open a regular file for reading, without waiting for what is none.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        OSError: if it cannot be opened, or is something else than a regular file.
    """
    _refuse(path, path.stat())  # to open a device may set it going
    return _checked(path, os.open(path, os.O_RDONLY | _AT_ONCE))


def append_text(path: Path, text: str) -> None:
    """Append to a text file; what cannot be written in UTF-8 becomes a question mark.

    Args:
        path: it is made if it is not there.
        text: what to append.

    Raises:
        OSError: if it cannot be written, or is something else than a regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        _refuse(path, path.stat())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _AT_ONCE
    descriptor = _checked(path, os.open(path, flags, 0o666))
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _checked(path: Path, descriptor: int) -> int:
    """A descriptor, if it is that of a regular file: the path may lead elsewhere by now."""
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
    """Write a text file so that no reader ever sees half of it.

    A file that was there keeps its permissions, its group, and its owner where the system
    allows it; a link stays a link, and the file it leads to is replaced.

    Args:
        path: its folder is made if it is not there. A name of an open descriptor, such as
            ``/dev/stdout``, is written to.
        text: the whole content, at once or in pieces.

    Raises:
        OSError: if it cannot be written; what was there before is still there.
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
    """Why a file could not be written, before there is anything to write; empty if it can."""
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
    """The open descriptor of this process that a path stands for, if it stands for one."""
    if os.name != "posix":
        return None
    named = _DESCRIPTOR.fullmatch(str(path))
    return int(named[1]) if named else _STANDARD.get(str(path))


def _target(path: Path) -> Path:
    """What a path leads to.

    Raises:
        OSError: if its links go round in a circle.
    """
    try:
        return path.resolve()
    except RuntimeError as error:  # Python before 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error


def _status(path: Path) -> os.stat_result | None:
    """The status of the file that is to be replaced; ``None`` where there is none.

    Raises:
        OSError: if something else than a regular file stands there.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    _refuse(path, status)
    return status


def _keep_permissions(written: Path, before: os.stat_result) -> None:
    """Give a new file the owner, group and mode of the one it replaces, as far as we may."""
    mode = stat.S_IMODE(before.st_mode)
    if not _give(written, before):
        # members of another group must not get what those of the old one had
        mode = (mode & ~0o070) | ((mode & 0o007) << 3)
    written.chmod(mode)


def _give(written: Path, before: os.stat_result) -> bool:
    """Whether the file has the group of the one it replaces."""
    now = written.stat()
    if sys.platform == "win32" or (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid):
        return True
    for owner in (before.st_uid, -1):  # only root may give a file away
        with contextlib.suppress(OSError):
            os.chown(written, owner, before.st_gid)
            return True
    return False
