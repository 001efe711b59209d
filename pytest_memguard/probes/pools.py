"""Finds C functions that get memory from malloc and hardly ever give any of it back."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_RETURNED: Final = 0.1
"""Most of a pool's blocks that may have been given back, as a share of all."""
_FEWEST: Final = 8
"""So many blocks show whether a function gives them back."""
_ALLOCATES: Final = re.compile(
    r"_*(GI_+|libc_)*(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc"
    r"|mmap(64)?)$|operator new|.*memray|<unknown>"
)
_OF_PYTHON: Final = re.compile(r"_?Py|_?ffi_call")
_PREFIX: Final = re.compile(r"^_*(GI_+)?|@.*$|\.(part|cold|constprop|isra).*$")


class Getters:
    """Knows which functions of libraries had blocks from malloc."""

    def __init__(self) -> None:
        self._process = ctypes.CDLL(None)
        self._public: dict[str, bool] = {}

    def of(self, native: Sequence[str]) -> str:
        """Return the function that had a block from malloc; empty if no library's had.

        It is none that Python or the C library has: `strdup` or `PyMem_Malloc` keep nothing.

        Args:
            native: C functions, innermost first.
        """
        name = next((one for one in native if one and not _ALLOCATES.match(one)), "")
        return "" if not name or _OF_PYTHON.match(name) or self._is_public(name) else name

    def _is_public(self, name: str) -> bool:
        """Return whether the interpreter or the C library has a function of this name."""
        if name not in self._public:
            plain = _PREFIX.sub("", name)
            self._public[name] = bool(plain) and hasattr(self._process, plain)
        return self._public[name]


def pools_among(alive: Iterable[str], freed: Mapping[str, int]) -> frozenset[str]:
    """Return the functions of which hardly a block was freed.

    Args:
        alive: the function for each block that is still allocated.
        freed: how many blocks of each function were freed.
    """
    kept = Counter(name for name in alive if name)
    return frozenset(
        name
        for name, count in kept.items()
        if count >= _FEWEST and freed.get(name, 0) <= _RETURNED * (count + freed.get(name, 0))
    )
