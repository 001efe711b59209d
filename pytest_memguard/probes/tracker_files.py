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
    """What memray opens."""

    def size(self) -> int:
        """Bytes that are in it."""

    def close(self) -> None:
        """Have it removed."""


class NamedFile:
    """A file in a folder, for systems on which every file has a name.

    Args:
        path: it need not be there yet.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def size(self) -> int:
        """Bytes that are in it."""
        return Path(self.path).stat().st_size

    def close(self) -> None:
        """Remove it."""
        Path(self.path).unlink(missing_ok=True)


class NamelessFile:
    """An open file that is in no folder: it goes with the last process that has it open.

    memray opens it once more by the number of its descriptor. That is a high one: code that
    closes "all" descriptors may close it, but the next file will not get its number.

    Args:
        descriptor: of the file; closed with it.
        system: the functions that work with descriptors.
    """

    def __init__(self, descriptor: int, system: System) -> None:
        self._system = system
        self._descriptor = descriptor
        self._identity = system.identity(descriptor)  # its number may become another file's
        self.path = f"/proc/self/fd/{descriptor}"

    def size(self) -> int:
        """Bytes that are in it."""
        return int(self._system.fstat(self._descriptor).st_size)

    def close(self) -> None:
        """Let the system remove it."""
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(OSError):  # a test has closed it
            if descriptor >= 0 and self._system.identity(descriptor) == self._identity:
                self._system.close(descriptor)

    def __del__(self) -> None:
        self.close()


class System:
    """The functions that files are made with, bound early: tests replace them in modules.

    Raises:
        ImportError: where the system knows no such files.
    """

    def __init__(self) -> None:
        import fcntl  # not on Windows

        self._open, self._unlink, self._random = os.open, os.unlink, os.urandom
        self._fcntl: Callable[..., Any] = fcntl.fcntl
        self._duplicate: int = fcntl.F_DUPFD_CLOEXEC
        self.close, self.fstat, self._dup = os.close, os.fstat, os.dup

    def identity(self, descriptor: int) -> tuple[int, int]:
        """Which file a descriptor is of.

        Raises:
            OSError: if it is closed.
        """
        status = self.fstat(descriptor)
        return status.st_dev, status.st_ino

    def nameless(self, folder: str) -> NamelessFile:
        """Make a file that is in no folder.

        Args:
            folder: says which file system it lies on.

        Raises:
            OSError: if that cannot be done here.
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
