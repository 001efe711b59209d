"""A lock on a file for one process at a time; the system releases it if the process dies."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PATIENCE: Final = 30.0
"""Seconds to wait for a lock."""
_PAUSE: Final = 0.02


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of a file.

    The folder of the file is locked if the system can do that, so that nothing is left beside
    the file. Otherwise it is a file in the folder for temporary files.

    Args:
        path: the file; its folder is made.
        patience: seconds to wait for another process.

    Raises:
        TimeoutError: if another process held the lock all that time.
        OSError: if the folder cannot be made.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + patience
    for handle in _handles(path):
        try:
            if _lockable(handle):
                _wait(handle, end, path, patience)
                try:
                    yield
                finally:
                    _unlock(handle)
                return
        finally:
            os.close(handle)
    yield  # nothing here can be locked; a file is still written whole or not at all


def _handles(path: Path) -> Iterator[int]:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    beside = Path(tempfile.gettempdir(), f"memguard-{name}.lock")
    # the folder is shared: a link that another user made there is not followed
    make = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    folders = [] if sys.platform == "win32" else [(path.parent, os.O_RDONLY)]
    for target, flags in [*folders, (beside, make)]:
        with contextlib.suppress(OSError):  # what cannot be opened cannot be locked
            yield os.open(target, flags, 0o666)


def _wait(handle: int, end: float, path: Path, patience: float) -> None:
    while not _try(handle):
        if time.monotonic() > end:
            msg = (
                f"{path} cannot be written: another run has been writing to its folder for "
                f"more than {patience:g} s; try again once it has ended"
            )
            raise TimeoutError(msg)
        time.sleep(_PAUSE)


if sys.platform == "win32":
    import msvcrt

    def _lockable(handle: int) -> bool:
        return handle >= 0

    def _try(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lockable(handle: int) -> bool:
        """Return whether the file system can lock this at all; NFS cannot lock folders."""
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        return True

    def _try(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
