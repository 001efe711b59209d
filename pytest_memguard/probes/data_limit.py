"""Sets the kernel's limit on the data that this process may reserve (RLIMIT_DATA)."""

from __future__ import annotations

import mmap
import os
import re
import sys
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.resident import ProcFile
from pytest_memguard.sizes import KIB, MIB

_DATA: Final = 5
"""Field of /proc/self/statm with the pages of data and stack."""
_FIELDS: Final = 7
_TEXT: Final = 128
_ROOM: Final = 1 * MIB
_REQUEST: Final = 32 * MIB
_STACK: Final = re.compile(rb"^VmStk:\s+(\d+) kB", re.MULTILINE)


class DataLimit:
    """The soft limit on data; the hard limit of the process is never touched.

    Data are private pages that may be written to, whether they were touched or not: what
    malloc, anonymous mappings and the stacks of further threads reserve. Shared memory and
    mapped files are none.

    Raises:
        Unmeasurable: if the kernel does not hold the process to such a limit.
    """

    by: Final = "kernel limit"
    cause: Final = MemoryError
    has_raised: Final = False  # the kernel does not report it

    def __init__(self) -> None:
        if sys.platform != "linux":
            msg = f"{sys.platform} has no limit on data that counts every mapping"
            raise Unmeasurable(msg)
        import resource  # not on Windows

        self._get, self._set = resource.getrlimit, resource.setrlimit
        self._which = resource.RLIMIT_DATA
        self._infinite = resource.RLIM_INFINITY
        self._pread = os.pread
        self._page = os.sysconf("SC_PAGESIZE")
        self._before = self._infinite
        self._ours = 0
        try:
            self._file = ProcFile("statm")
            self._stack = _stack()
            self._try_out()
        except OSError as error:
            msg = f"it cannot be read or set ({error.strerror})"
            raise Unmeasurable(msg) from error
        except ValueError as error:
            msg = f"it cannot be set ({error})"
            raise Unmeasurable(msg) from error

    def used(self) -> int:
        """Return the bytes that count against the limit."""
        # the text itself shows whether it is this file: a check would cost time at every test
        try:
            fields = self._pread(self._file.descriptor, _TEXT, 0).split()
        except OSError:
            fields = []
        if len(fields) != _FIELDS:
            fields = self._file.read(_TEXT).split()
        return int(fields[_DATA]) * self._page - self._stack

    def hold_to(self, level: int) -> bool:
        """Set the limit, in bytes, unless there is a lower one; return whether it is ours now.

        A second call sets another limit in its place.
        """
        soft, most = self._get(self._which)
        if soft != self._ours or not self._ours:
            self._before = soft
        before = self._before
        if before != self._infinite and before <= level:
            if soft != before:
                self._set(self._which, (before, most))
            self._ours = 0
            return False
        self._set(self._which, (level, most))
        self._ours = level
        return True

    def release(self) -> bool:
        """Put the limit back that was there before; return whether ours was still in force.

        What other code has set meanwhile stays.
        """
        ours, self._ours = self._ours, 0
        if not ours:
            return True
        soft, most = self._get(self._which)
        if soft != ours:
            return False
        before = self._before
        if most != self._infinite and (before == self._infinite or before > most):
            before = most  # other code has lowered that, and a soft one is never above it
        self._set(self._which, (before, most))
        return True

    def _try_out(self) -> None:
        """Find out whether a mapping beyond the limit fails.

        Raises:
            Unmeasurable: if it does not: with other kernels and some sandboxes.
        """
        if not self.hold_to(self.used() + _ROOM):
            self.release()
            return  # a lower one is in force; what has set it has tried it out
        refused = False
        try:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            mmap.mmap(-1, _REQUEST, flags=flags).close()
        except OSError:
            refused = True
        finally:
            self.release()
        if not refused:
            msg = "this kernel lets a process exceed it"
            raise Unmeasurable(msg)


def _stack() -> int:
    """Return the bytes of the main thread's stack, which `statm` counts as data."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123  as the other files there
        found = _STACK.search(file.read())
    return int(found[1]) * KIB if found else 0
