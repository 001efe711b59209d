"""Finds allocation functions that libraries have chosen, which memray overwrites.

memray puts functions of its own in every place where the dynamic linker has put the address of
`malloc`, `free` and the like, and that address again when it ends. A library may keep its
allocators in variables that begin with these addresses and that it sets later: tree-sitter and
the module `decimal` set them to Python's. What they have allocated before would be freed by
another allocator then, which aborts the process.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pytest_memguard.probes.process_memory import memory_reader

_NAMES: Final = (
    *("malloc", "free", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"),
    *("valloc", "pvalloc", "mmap", "mmap64", "munmap"),
)
_ABSOLUTE: Final = {"x86_64": 1, "aarch64": 257}
"""The kind of relocation of a variable with the address of a function, by machine."""
_HEADER: Final = 64
_PART: Final = 56
_LOADED, _DYNAMIC = 1, 2
"""Kinds of parts of a library."""
_STRINGS, _SYMBOLS, _RELOCATIONS, _RELOCATIONS_SIZE, _STRINGS_SIZE = 5, 6, 7, 8, 10
"""Entries of its dynamic table."""
_MEMRAY: Final = b"/memray/_memray"
_WORD: Final = 8
_SYMBOL: Final = 24
_HALF: Final = 0xFFFFFFFF
_MOST_ENTRIES: Final = 100
_MOST_BYTES: Final = 1 << 26

Read = Callable[[int, int], bytes]
"""Reads a number of bytes at an address; returns no bytes if it is not mapped."""
Mapped = tuple[int, int, bool, bytes]
"""Start and end of a part of a file, whether that is its beginning, and the file."""
Place = tuple[int, str]
"""Where a variable is, and the function whose address the linker has put there."""


class OwnAllocators:
    """The variables of all loaded libraries that the linker has put such addresses in.

    Each library is read once. Only addresses that are mapped are read, and no lock of the
    linker is taken.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[int, bytes], list[Place]] = {}
        self._addresses: dict[str, int] = {}

    def places(self) -> dict[int, bool]:
        """Return where all these variables are, and whether each has another function now.

        Those that memray has set at this moment have not.
        """
        kind = _ABSOLUTE.get(os.uname().machine) if sys.platform == "linux" else None
        read = memory_reader() if kind is not None else None
        if kind is None or read is None:
            return {}
        mappings = list(_mappings())
        found: dict[int, bool] = {}
        for start, _, is_first, file in mappings:
            if is_first and (start, file) not in self._places:
                self._places[start, file] = list(_places(start, read, kind))
            for at, function in self._places.get((start, file), ()):
                now = _word(read, at)
                found[at] = now != self._address(function) and not _is_of_memray(now, mappings)
        return found

    def _address(self, function: str) -> int:
        """Return the address of a function of the C library."""
        if function not in self._addresses:
            pointer = ctypes.cast(getattr(ctypes.CDLL(None), function), ctypes.c_void_p)
            self._addresses[function] = pointer.value or 0
        return self._addresses[function]


class ChosenAllocators:
    """Keeps what libraries have chosen while one tracker of memray starts and stops.

    It is made some time before, since reading the libraries leaves free blocks behind, which
    would be used for what is tracked.

    Args:
        allocators: knows the libraries.
    """

    def __init__(self, allocators: OwnAllocators) -> None:
        self._variables = [
            _Variable(at, is_chosen=is_chosen) for at, is_chosen in allocators.places().items()
        ]

    def has_started(self) -> None:
        """Give variables their values back after memray has started.

        Nothing may be kept here of what is allocated: the tracker would count it.
        """
        for variable in self._variables:
            variable.has_started()

    def will_stop(self) -> None:
        """Note the values of variables that memray has not set, or that were set since."""
        for variable in self._variables:
            variable.will_stop()

    def has_stopped(self) -> None:
        """Give variables their values back after memray has stopped."""
        for variable in self._variables:
            variable.put_back()


class _Variable:
    """One of these variables.

    Args:
        at: its address.
        is_chosen: whether the library has set it to another function.
    """

    __slots__ = ("_chosen", "_is_chosen", "_now", "_of_memray")

    def __init__(self, at: int, *, is_chosen: bool) -> None:
        self._now = ctypes.c_size_t.from_address(at)
        self._chosen = ctypes.c_size_t(self._now.value)
        self._of_memray = ctypes.c_size_t()
        self._is_chosen = is_chosen

    def has_started(self) -> None:
        """Note what memray has put there, and put the library's choice back."""
        self._of_memray.value = self._now.value
        self.put_back()

    def will_stop(self) -> None:
        """Note whether there is something else than what memray has put there."""
        self._chosen.value = self._now.value
        self._is_chosen = self._now.value != self._of_memray.value

    def put_back(self) -> None:
        """Put the library's choice back, if it has made one."""
        # memray has made the page writable if it has written there, and only then
        if self._is_chosen and self._now.value != self._chosen.value:
            self._now.value = self._chosen.value


def _mappings() -> Iterator[Mapped]:
    """Yield the mapped files."""
    try:
        maps = Path("/proc/self/maps").read_bytes()
    except OSError:
        return
    for line in maps.splitlines():
        # addresses, access, offset, device, inode, file
        fields = line.split(maxsplit=5)
        if len(fields) > 5 and fields[5].startswith(b"/"):
            start, end = (int(address, 16) for address in fields[0].split(b"-"))
            yield start, end, not int(fields[2], 16), fields[5]


def _is_of_memray(address: int, mappings: Iterable[Mapped]) -> bool:
    """Return whether memray has a function at an address: it tracks at this moment."""
    return any(start <= address < end and _MEMRAY in file for start, end, _, file in mappings)


def _places(start: int, read: Read, kind: int) -> Iterator[Place]:
    """Yield the places in a library.

    Args:
        start: its first address.
        read: reads memory.
        kind: the kind of relocation.
    """
    base, table = _dynamic_table(start, read)
    sizes = table.get(_RELOCATIONS_SIZE, 0), table.get(_STRINGS_SIZE, 0)
    if not all(sizes) or max(sizes) > _MOST_BYTES:
        return
    # some C libraries leave these addresses relative to the base
    relocations, strings, symbols = (
        address if address >= base else base + address
        for address in (table[key] for key in (_RELOCATIONS, _STRINGS, _SYMBOLS))
    )
    names = dict(_names(read(strings, sizes[1])))
    words = _words(read(relocations, sizes[0])) if names else []
    for offset, info in zip(words[::3], words[1::3], strict=False):
        if info & _HALF == kind:
            symbol = _word(read, symbols + _SYMBOL * (info >> 32))
            # one that has a section is a function of the library's own
            if symbol & _HALF in names and not symbol >> 48:
                yield base + offset, names[symbol & _HALF]


def _dynamic_table(start: int, read: Read) -> tuple[int, dict[int, int]]:
    """Return the base of a library, and its dynamic table; an empty one if it is none."""
    header = read(start, _HEADER)
    if header[:5] != b"\x7fELF\x02":  # of 64 bits
        return start, {}
    at = start + int.from_bytes(header[32:40], sys.byteorder)
    number = int.from_bytes(header[56:58], sys.byteorder)
    words = _words(read(at, _PART * number))
    parts = list(zip(words[::7], words[2::7], strict=False))
    loaded = [address for what, address in parts if what & _HALF == _LOADED]
    dynamic = [address for what, address in parts if what & _HALF == _DYNAMIC]
    if not loaded or not dynamic:
        return start, {}
    base = start - min(loaded)
    found = _words(read(base + dynamic[0], 2 * _WORD * _MOST_ENTRIES))
    table: dict[int, int] = {}
    for entry, value in zip(found[::2], found[1::2], strict=False):
        if not entry:
            break
        table.setdefault(entry, value)
    return base, table


def _names(strings: bytes) -> Iterator[tuple[int, str]]:
    """Yield where each name is in a table of strings; it may be the end of another one."""
    for name in _NAMES:
        text = name.encode() + b"\0"
        at = strings.find(text)
        while at >= 0:
            yield at, name
            at = strings.find(text, at + 1)


def _words(raw: bytes) -> list[int]:
    return memoryview(raw[: len(raw) // _WORD * _WORD]).cast("Q").tolist()


def _word(read: Read, address: int) -> int:
    return int.from_bytes(read(address, _WORD), sys.byteorder)
