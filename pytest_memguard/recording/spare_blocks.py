"""Keeps what glibc holds aside of freed blocks alike at every look."""

from __future__ import annotations

from typing import Final

_KEPT: Final = 7
"""Freed blocks of one size that glibc keeps aside for a thread."""
_SIZES: Final = tuple(size for size in range(512, 1025, 16) for _ in range(_KEPT))
"""Bytes of these blocks, as far as Python takes them from malloc; a bytearray has room for one
byte more."""


def fill_spare_blocks() -> None:
    """Have glibc keep as many freed blocks of each size aside as it ever does.

    It counts them as used. Calls that need blocks of many sizes leave some here and some there,
    so the C heap seems to grow, over hundreds of calls, until there are seven of each. With
    seven of each at every look, what is left is what the calls keep. Smaller blocks are
    Python's own, larger ones are not kept. It takes 20 to 40 microseconds, and 180 KiB the
    first time.
    """
    list(map(bytearray, _SIZES))  # all alive at a time
