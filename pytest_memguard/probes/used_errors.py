"""Finds out whether there was a MemoryError while a test ran (Python 3.11)."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.error_number import ErrorNumber
from pytest_memguard.probes.resident import ProcFile

_CANARY: Final = 0x5AFE_5AFE
_KEPT: Final = 16
"""As many are made when the interpreter starts, beside what is never freed."""
_SIZE: Final = ctypes.sizeof(ctypes.c_ssize_t)


class UsedErrors:
    """Notices, after the fact, that a MemoryError was made, though nothing calls us then.

    CPython keeps dead MemoryErrors in a list, so as to have one when memory has run out, and
    takes the one that came there last. That one has a reference count of 0. Another number
    there is overwritten as soon as it is used, and harms nothing: the count of an object that
    is taken from the list is set, not increased. MemoryErrors of classes derived from it are
    not kept, and not noticed.

    Raises:
        Unmeasurable: if this interpreter does not work like that.
    """

    def __init__(self) -> None:
        if sys.implementation.name != "cpython" or hasattr(sys, "gettotalrefcount"):
            msg = "this interpreter keeps no MemoryErrors"
            raise Unmeasurable(msg)
        self._errno = ErrorNumber()
        self._is_watching = False
        self._address = 0
        self._count = ctypes.c_ssize_t()
        kept = [MemoryError() for _ in range(_KEPT)]
        self._always_there = frozenset(map(id, kept))
        del kept
        try:
            self._memory = ProcFile("mem")
        except OSError as error:
            msg = f"there is no /proc/self/mem ({error.strerror})"
            raise Unmeasurable(msg) from error
        self.begin()
        unused = not self._was_used()
        self.begin()
        _raise_one()
        if not (unused and self._was_used()):
            msg = "this interpreter keeps no MemoryErrors"
            raise Unmeasurable(msg)

    def begin(self) -> None:
        """Notice one that is made from now on."""
        error = MemoryError()
        address = id(error)
        del error  # the last that came to the list
        if address != self._address:
            self._address, self._count = address, ctypes.c_ssize_t.from_address(address)
        self._count.value = _CANARY
        self._is_watching = True
        self._errno.clear()

    def end(self) -> bool:
        """Return whether one was made."""
        return self._is_watching and self._was_used()

    def is_no_memory(self) -> bool:
        """Return whether an allocation was the last thing that failed in the C library."""
        return self._errno.is_no_memory()

    def close(self) -> None:
        """Let go of the interpreter."""
        self.end()

    def is_used(self) -> bool:
        """Return whether one was made so far."""
        return not (self._is_there() and self._count.value == _CANARY)

    def _was_used(self) -> bool:
        self._is_watching = False
        used = self.is_used()
        if not used:
            self._count.value = 0
        return used

    def _is_there(self) -> bool:
        """Whether the memory is still mapped; that of the first ones always is."""
        if self._address in self._always_there:
            return True
        with contextlib.suppress(OSError):
            return bool(self._memory.read(_SIZE, self._address))
        return False


def _raise_one() -> None:
    try:
        raise MemoryError
    except MemoryError:
        return
