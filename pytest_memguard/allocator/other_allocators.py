"""Allocators that extensions bring along, as far as they can be asked: pyarrow, jemalloc."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

_OF_ARROW: Final = frozenset({"mimalloc", "jemalloc"})
"""Pools of pyarrow's that are not the C heap."""
_ALL_ARENAS: Final = 4096
"""The number by which jemalloc means all of its arenas."""


class OtherAllocators:
    """Asks other allocators what is in use, and has them return what is free to the system.

    These are pyarrow's memory pool, and what the whole process uses in place of glibc: an
    allocator that is preloaded or linked in exports jemalloc's ``mallctl``, or mimalloc's
    ``mi_collect``. An allocator inside an extension exports nothing. PyTorch uses glibc's.

    Args:
        library: has the symbols that the process exports.
        modules: what has been imported, by name.

    Attributes:
        level_after: the lowest resident bytes since they were last asked to return memory.
    """

    def __init__(self, library: Any = None, modules: Mapping[str, Any] | None = None) -> None:
        library = ctypes.CDLL(None) if library is None else library
        self._modules: Mapping[str, Any] = sys.modules if modules is None else modules
        self._mallctl = getattr(library, "mallctl", None)
        self._collect = getattr(library, "mi_collect", None)
        self.level_after = 0

    def in_use(self) -> int:
        """Return the bytes in use in those of them that report it."""
        found = sum(int(pool.bytes_allocated()) for pool in self._pools())
        return found + (self._allocated() if self._mallctl is not None else 0)

    def give_back(self, level: int, tolerance: int) -> bool:
        """Have free memory returned to the system, if the process has grown since.

        That takes 20 to 600 microseconds.

        Args:
            level: resident bytes now.
            tolerance: bytes of growth that do not matter.

        Returns:
            Whether any was asked to.
        """
        if level - self.level_after <= tolerance:
            self.level_after = min(self.level_after, level)
            return False
        self.level_after = level
        asked = False
        for pool in self._pools():
            with contextlib.suppress(Exception):
                pool.release_unused()
                asked = True
        if self._collect is not None:
            self._collect(ctypes.c_bool(True))
            asked = True
        if self._mallctl is not None:
            self._purge()
            asked = True
        return asked

    def note(self, level: int) -> None:
        """Note the level after `give_back`, in bytes."""
        self.level_after = level

    def _pools(self) -> Iterator[Any]:
        """The pool of pyarrow, if it is loaded and the pool is not the C heap."""
        module = self._modules.get("pyarrow")
        if module is None:
            return
        with contextlib.suppress(Exception):  # it may be loading, or be another module
            pool = module.default_memory_pool()
            if pool.backend_name in _OF_ARROW:
                yield pool

    def _allocated(self) -> int:
        """The bytes in use in jemalloc, once it has added them up."""
        epoch, size = ctypes.c_uint64(1), ctypes.c_size_t(0)
        self._call(b"epoch", None, None, epoch, ctypes.sizeof(epoch))
        length = ctypes.c_size_t(ctypes.sizeof(size))
        failed = self._call(b"stats.allocated", size, length, None, 0)
        return 0 if failed else int(size.value)

    def _purge(self) -> None:
        self._call(b"thread.tcache.flush", None, None, None, 0)
        self._call(f"arena.{_ALL_ARENAS}.purge".encode(), None, None, None, 0)

    def _call(self, name: bytes, old: Any, length: Any, new: Any, size: int) -> int:
        """Call ``mallctl``; return its error."""
        pointers = [None if one is None else ctypes.byref(one) for one in (old, length, new)]
        mallctl: Any = self._mallctl
        return int(mallctl(ctypes.c_char_p(name), *pointers, ctypes.c_size_t(size)))
