"""Reads the C library's error number, which a failed allocation sets."""

from __future__ import annotations

import ctypes
import errno
import threading
from typing import Any, Final

_LOCATION: Final = "__errno_location"


class ErrorNumber:
    """The error number of the calling thread; always that of no memory where it is not known.

    A later call into the C library may set it to something else.
    """

    def __init__(self) -> None:
        self._where: Any = None
        try:
            where = getattr(ctypes.CDLL(None), _LOCATION)
        except (AttributeError, OSError, TypeError):
            return
        where.restype = ctypes.POINTER(ctypes.c_int)
        self._where = where
        self._thread, self._mine = threading.get_ident(), where().contents

    def clear(self) -> None:
        """Forget what has failed so far."""
        if self._where is None:
            return
        if threading.get_ident() == self._thread:  # around every test
            self._mine.value = 0
        else:
            self._where()[0] = 0

    def is_no_memory(self) -> bool:
        """Return whether the last call that failed, failed for want of memory."""
        return self._where is None or bool(self._where()[0] == errno.ENOMEM)
