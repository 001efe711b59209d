"""Reads the signals of a leak check between calls, once the process has settled."""

from __future__ import annotations

import gc
import os
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Any, Final

from pytest_memguard.allocator.garbage import collect
from pytest_memguard.allocator.tcache import (
    fill_tcache,
    fill_tcache_of_threads,
)
from pytest_memguard.model.leaks import Signal
from pytest_memguard.probes.counters import Counters

_COLLECTIONS: Final = 3
MOMENT: Final = 0.001
"""Seconds after which a thread that has finished is gone, with what it referred to."""
_PATIENCE: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


class SettledSignals:
    """Reads the signals of a leak check.

    Args:
        counters: reads the single signals.
        respect_disabled: whether to collect no garbage if the collector is disabled, because
            the callable has disabled it.
        frozen: whether the check has frozen the heap, so that it may unfreeze it.

    Attributes:
        signals: the signals, in the order of a row.
    """

    def __init__(
        self, counters: Counters, *, respect_disabled: bool = True, frozen: bool = False
    ) -> None:
        self.signals: Sequence[Signal] = counters.signals
        self._counters = counters
        self._respect_disabled = respect_disabled
        self._frozen = frozen
        self._thaws = False
        self._impatient = False
        self._empties = True
        self._memory = tuple(
            i for i, name in enumerate(self.signals) if name in ("blocks", "C heap")
        )
        self._fills_cache = (
            sys.platform == "linux"
            and "C heap" in counters.signals
            and not counters.leaves_cache_out
        )

    def row(self) -> array[int]:
        """Return an array for one reading of every signal."""
        return self._counters.row()

    def read(
        self,
        row: array[int],
        *,
        settle: bool,
        types: bool = False,
        before: array[int] | None = None,
    ) -> None:
        """Collect garbage, and read every signal.

        Args:
            row: an array from `row`.
            settle: whether to empty caches that fill with use, and to fill the thread cache if
                what it holds cannot be read.
            types: whether to empty the interpreter's type cache even otherwise.
            before: an earlier reading; resources above it get some time to disappear.
        """
        if settle and self._empties:
            forget_caches()
        if self._thaws:
            self.collect_frozen()
        self.collect()
        if settle or types:
            forget_types()  # at last: finalizers of garbage fill it
        self._read(row, settle=settle)
        if before is not None:
            self._wait(row, before, settle=settle)

    def small_blocks(self) -> bytes:
        """Return pymalloc's statistics; empty where there are none."""
        return self._counters.small_blocks()

    def collect(self) -> None:
        """Collect garbage, unless it is to be seen."""
        if not self._respect_disabled or gc.isenabled():
            _collect_all()

    def collect_frozen(self, *, always: bool = False, explained: bool = False) -> bool:
        """Collect garbage of the whole heap, which takes longer the larger the heap is.

        An object that was alive when the heap was frozen may be dropped by a later call. If it
        is part of a reference cycle, it stays otherwise, and so does everything that it holds.

        Args:
            always: whether to do so before each reading from now on.
            explained: whether the search for a cause has frozen the heap.

        Returns:
            Whether there was any garbage.
        """
        self._frozen = self._frozen or explained
        if not self._frozen or (self._respect_disabled and not gc.isenabled()):
            return False
        self._thaws = self._thaws or always
        gc.unfreeze()
        found = _collect_all()
        gc.freeze()
        return found

    def settle(self, *, types: bool = True) -> None:
        """Empty caches that fill with use, and collect garbage.

        Args:
            types: whether to empty the interpreter's type cache as well.
        """
        if self._empties:
            forget_caches()
        self.collect()
        if types:
            forget_types()

    def keep_caches(self) -> None:
        """Stop emptying the standard library's caches: growth came from that."""
        self._empties = False

    def _read(self, row: array[int], *, settle: bool) -> None:
        if self._fills_cache:
            fill_tcache() if settle else fill_tcache_of_threads()
        self._counters.read(row)

    def _wait(self, row: array[int], before: array[int], *, settle: bool) -> None:
        """Give resources some time to disappear, as long as that helps.

        Memory of a thread that has finished gets it too: the thread waits for the interpreter's
        lock until the collection is over, and C code releases its memory after it was joined.
        """
        if settle and not self._impatient:
            for seconds in _PATIENCE:
                if not _is_above(row, before, self._counters.resources):
                    break
                self._read_again(row, seconds)
            self._impatient = _is_above(row, before, self._counters.resources)
        if _is_above(row, before, self._memory):
            self._read_again(row, MOMENT)

    def _read_again(self, row: array[int], seconds: float) -> None:
        time.sleep(seconds)
        self.collect()
        forget_types()
        self._read(row, settle=False)


def _collect_all() -> bool:
    """Collect garbage, and what its finalizers let go; return whether there was any."""
    for number in range(_COLLECTIONS):
        if not collect():
            return number > 0
    return True


def _is_above(row: array[int], before: array[int], columns: Sequence[int]) -> bool:
    # not where a reading is made: its cells would count
    return any(row[column] > before[column] for column in columns)


def forget_caches() -> None:
    """Empty caches of the standard library that fill with use.

    The list is a part of what CPython's own leak hunt empties (test.libregrtest.utils,
    clear_caches): caches that cost nothing but time when they are empty. linecache is left
    alone, because it also has sources that exist nowhere else.
    """
    for module, name, clear in _CACHES:
        loaded = sys.modules.get(module)
        cache = getattr(loaded, name, None)
        if cache is not None:
            getattr(cache, clear)() if clear else cache()
    for clear in getattr(sys.modules.get("typing"), "_cleanups", ()):
        clear()
    _forget_paths(sys.path_importer_cache)
    _forget_paths(getattr(sys.modules.get("zipimport"), "_zip_directory_cache", {}))


def forget_types() -> None:
    """Empty the interpreter's cache of the attributes of types.

    It keeps the name of an attribute, and finds it by the address of the name. Native code that
    makes a new name for each access fills it; it has 4,096 entries. Emptying it takes some 20
    microseconds, and several times that until it is filled again.
    """
    _CLEAR_TYPES()


def _forget_paths(cache: dict[str, Any]) -> None:
    """Remove the latest entries of a cache by path, as long as their files are gone."""
    for path in reversed(list(cache)):
        if os.path.exists(path):  # noqa: PTH110  a Path for each would be growth
            return
        cache.pop(path, None)


# not asked for each time: a name that a module lacks leaves a tuple in the free list
_CLEAR_TYPES: Final = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # noqa: SLF001
)
_CACHES: Final = (
    ("re", "purge", ""),
    ("struct", "_clearcache", ""),
    ("_strptime", "_regex_cache", "clear"),
    ("urllib.parse", "clear_cache", ""),
    ("fnmatch", "_compile_pattern", "cache_clear"),
    ("filecmp", "_cache", "clear"),
)
