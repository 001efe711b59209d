"""Reads the resident memory of this process, in bytes."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.descriptors import OwnDescriptor

_FIELDS_OF_STATM: Final = 7


class ProcFile:
    """A file under /proc/self that is kept open, to be read or written repeatedly.

    It has a high descriptor number: code that closes all descriptors may close it, but the next
    file that is opened does not get its number. It is opened again if it was closed, and in a
    forked child, where it would still be the parent's.

    Args:
        name: name of the file under /proc/self.
        flags: as for `os.open`.
        opening: makes a context in which the file is opened.

    Attributes:
        descriptor: its number, unless other code has closed it.

    Raises:
        OSError: if there is no such file.
    """

    __slots__ = (
        "__weakref__",
        "_ask",
        "_flags",
        "_opening",
        "_own",
        "_path",
        "_pread",
        "_question",
        "_write",
        "descriptor",
    )

    def __init__(
        self,
        name: str,
        flags: int = os.O_RDONLY,
        opening: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._path = f"/proc/self/{name}"
        self._flags = flags | os.O_CLOEXEC
        self._opening = opening
        import fcntl  # not on Windows

        # held here, not looked up: tests replace what they find in modules
        self._pread, self._write = os.pread, os.write
        self._ask, self._question = fcntl.fcntl, fcntl.F_GETSIG
        self._open()
        _OPEN_FILES.add(self)

    def read(self, size: int, offset: int = 0) -> bytes:
        """Return ``size`` bytes, at most a page, as the kernel writes them now."""
        if not self._own.is_ours():
            self._open()
        return self._pread(self.descriptor, size, offset)

    def write(self, data: bytes) -> None:
        """Write data to the kernel."""
        try:  # as in `is_ours`, without a call: this is done around every test
            ours = self._ask(self.descriptor, self._question) == self._own.label
        except OSError:
            ours = False
        if not ours:
            self._open()
        self._write(self.descriptor, data)

    def reopen(self) -> None:
        """Open the file of the current process."""
        self._own.close()
        self._open()

    def _open(self) -> None:
        with self._opening():
            self._own = OwnDescriptor(os.open(self._path, self._flags))
        self.descriptor = self._own.number

    def __del__(self) -> None:
        # closed, or never opened; when the interpreter ends, names of modules may be gone
        try:  # noqa: SIM105  so may contextlib
            self._own.close()
        except (OSError, AttributeError, TypeError):
            pass


_OPEN_FILES: weakref.WeakSet[ProcFile] = weakref.WeakSet()


def _reopen_in_child() -> None:
    for file in list(_OPEN_FILES):
        # in a child without /proc the next read raises, not the fork
        with contextlib.suppress(OSError):
            file.reopen()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reopen_in_child)


def mapped_files() -> int | None:
    """Return the resident bytes of files and shared memory; ``None`` if they are not known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  a phase begins
            return int(file.read().split()[2]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return None


def resident_reader() -> Callable[[], int]:
    """Return the fastest function that returns this process's resident bytes.

    Raises:
        Unmeasurable: if nothing reports them; the function raises it too, later on.
    """
    if sys.platform != "linux":
        return _from_psutil()
    try:
        return _from_statm()
    except OSError as error:
        try:
            return _from_psutil()
        except Unmeasurable as other:
            msg = f"{other}, and there is no /proc/self/statm ({error.strerror})"
            raise Unmeasurable(msg) from error


def _from_statm() -> Callable[[], int]:
    file = ProcFile("statm")
    page, pread = os.sysconf("SC_PAGESIZE"), os.pread

    def resident() -> int:
        # the text itself shows whether it is this file: a check would cost time at every test
        try:
            fields = pread(file.descriptor, 64, 0).split()
        except OSError:
            fields = []
        if len(fields) != _FIELDS_OF_STATM:
            fields = _read_again(file).split()
        return int(fields[1]) * page

    resident()
    return resident


def _read_again(file: ProcFile) -> bytes:
    try:
        return file.read(64)
    except OSError as error:
        msg = f"/proc/self/statm can no longer be read ({error.strerror})"
        raise Unmeasurable(msg) from error


def _from_psutil() -> Callable[[], int]:
    import psutil

    def resident() -> int:
        try:
            return int(psutil.Process().memory_info().rss)
        except (psutil.Error, OSError) as error:
            # its text has the number of the process, which differs between workers
            msg = f"psutil cannot read resident memory ({type(error).__name__})"
            raise Unmeasurable(msg) from error

    resident()
    return resident
