"""Locks on single bytes of a file; the system releases them when their process dies.

A byte need not exist. A process must not open the file a second time: on POSIX systems closing
any of its descriptors releases all of its locks.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

_TAKEN: Final = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
"""Errors of a byte that another process has locked."""

if sys.platform == "win32":
    import msvcrt

    def try_lock(file: int, at: int) -> bool:
        """Lock a byte, and return whether no other process has done so.

        Args:
            file: descriptor of the file.
            at: position of the byte.

        Raises:
            OSError: if the file cannot be locked at all.
        """
        os.lseek(file, at, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def unlock(file: int, at: int) -> None:
        """Release a byte that this process has locked; arguments as above."""
        os.lseek(file, at, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(file: int, at: int) -> bool:
        """Lock a byte, and return whether no other process has done so.

        Args:
            file: descriptor of the file.
            at: position of the byte.

        Raises:
            OSError: if the file cannot be locked at all.
        """
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at, os.SEEK_SET)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def unlock(file: int, at: int) -> None:
        """Release a byte that this process has locked; arguments as above."""
        fcntl.lockf(file, fcntl.LOCK_UN, 1, at, os.SEEK_SET)
