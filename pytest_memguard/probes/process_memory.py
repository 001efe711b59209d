"""Reads the memory of this process at any address."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

_MEMORY: Final = "/proc/self/mem"


def memory_reader() -> Callable[[int, int], bytes] | None:
    """Return a function that reads this process's memory; ``None`` if there is no way.

    Memory that is not mapped reads as no bytes.
    """
    pread = getattr(os, "pread", None)  # held here: tests replace what they find in modules
    if pread is None:
        return None
    try:
        descriptor = os.open(_MEMORY, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    return _Memory(descriptor, pread, os.close).read


class _Memory:
    """This process's memory as a file, which is closed with this object."""

    def __init__(self, descriptor: int, pread: Any, close: Any) -> None:
        self._descriptor = descriptor
        self._pread = pread
        self._close = close

    def read(self, address: int, size: int) -> bytes:
        """Return a number of bytes at an address; no bytes if it is not mapped."""
        try:
            found: bytes = self._pread(self._descriptor, size, address)
        except (OSError, OverflowError):
            return b""
        return found

    def __del__(self) -> None:
        self._close(self._descriptor)
