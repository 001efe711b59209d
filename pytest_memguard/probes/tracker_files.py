"""Files for memray that no killed process leaves behind: on Linux they have no name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

_ABOVE_OTHERS: Final = 512
_PRIVATE: Final = 0o600


class TrackerFile(Protocol):
    """A file that memray writes and reads by its path."""

    path: str
    """The path that memray opens."""

    def size(self) -> int:
        """Return its size in bytes."""

    def close(self) -> None:
        """Close and remove it."""


class NamedFile:
    """A file in a folder, for systems on which every file has a name.

    Args:
        path: the path; the file need not exist yet.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def size(self) -> int:
        """Return its size in bytes."""
        return Path(self.path).stat().st_size

    def close(self) -> None:
        """Remove it."""
        Path(self.path).unlink(missing_ok=True)


class NamelessFile:
    """An open file that is in no folder: it disappears with the last process that has it open.

    memray opens it again by the number of its descriptor. That number is high: code that closes
    all descriptors may close it, but the next file does not get its number.

    Args:
        descriptor: the descriptor of the file; closed with it.
        system: the functions that work with descriptors.
    """

    def __init__(self, descriptor: int, system: System) -> None:
        self._system = system
        self._descriptor = descriptor
        self._identity = system.identity(descriptor)  # its number may become another file's
        self.path = f"/proc/self/fd/{descriptor}"

    def size(self) -> int:
        """Return its size in bytes."""
        return int(self._system.fstat(self._descriptor).st_size)

    def close(self) -> None:
        """Close it; the system removes it."""
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(OSError):  # a test has closed it
            if descriptor >= 0 and self._system.identity(descriptor) == self._identity:
                self._system.close(descriptor)

    def __del__(self) -> None:
        self.close()


class System:
    """The functions that make files, bound early because tests replace them in modules.

    Raises:
        ImportError: if the system has no such files.
    """

    def __init__(self) -> None:
        import fcntl  # not on Windows

        self._open, self._unlink, self._random = os.open, os.unlink, os.urandom
        self._fcntl: Callable[..., Any] = fcntl.fcntl
        self._duplicate: int = fcntl.F_DUPFD_CLOEXEC
        self.close, self.fstat, self._dup = os.close, os.fstat, os.dup

    def identity(self, descriptor: int) -> tuple[int, int]:
        """Return which file a descriptor belongs to.

        Raises:
            OSError: if it is closed.
        """
        status = self.fstat(descriptor)
        return status.st_dev, status.st_ino

    def nameless(self, folder: str) -> NamelessFile:
        """Make a file that is in no folder.

        Args:
            folder: a folder on the file system to use.

        Raises:
            OSError: if the system cannot do that.
        """
        low = self._make(folder)
        try:
            descriptor = self._raised(low)
        finally:
            self.close(low)
        file = NamelessFile(descriptor, self)
        try:
            self.close(
                self._open(file.path, os.O_RDWR)
            )  # as memray does: there may be no /proc
        except OSError:
            file.close()
            raise
        return file

    def _make(self, folder: str) -> int:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # not every file system can
                return self._open(folder, os.O_TMPFILE | os.O_RDWR, _PRIVATE)
        path = f"{folder}/memguard-{self._random(8).hex()}"
        descriptor = self._open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE)
        self._unlink(path)
        return descriptor

    def _raised(self, descriptor: int) -> int:
        try:
            return int(self._fcntl(descriptor, self._duplicate, _ABOVE_OTHERS))
        except OSError:
            return self._dup(descriptor)  # the limit on descriptors is lower than that
