"""Tests of finding libraries whose allocators memray would overwrite."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from decimal import Decimal, getcontext
from pathlib import Path

import pytest

from pytest_memguard.probes.own_allocators import OwnAllocators
from pytest_memguard.probes.surviving_blocks import SurvivorTracker, TrackerFolder
from tests.support.fresh_process import fresh

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs ELF and a compiler"
)

VARIABLES = ("take", "release")
SOURCE = """
#include <stdlib.h>
void (*release)(void *) = free;
void *(*take)(size_t) = malloc;
void choose(void *(*its_take)(size_t), void (*its_release)(void *)) {
    take = its_take; release = its_release;
}
void use(void) { release(take(100)); }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """A library that keeps its allocators in variables."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.c").write_text(SOURCE, encoding="utf-8")
    command = ["cc", "-shared", "-fPIC", "-o", folder / "own.so", folder / "own.c"]
    subprocess.run(command, check=True)
    return folder / "own.so"


def _chosen(library: Path) -> list[bool]:
    """Whether variables are found once it is loaded, has chosen others, and has them again."""
    allocators = OwnAllocators()
    own = ctypes.CDLL(str(library))
    places = {ctypes.addressof(ctypes.c_void_p.in_dll(own, name)) for name in VARIABLES}
    libc = ctypes.CDLL(None)

    def chosen() -> set[int]:
        return {at for at, is_chosen in allocators.places().items() if is_chosen}

    found = [not places.isdisjoint(chosen())]
    own.choose(ctypes.pythonapi.PyMem_Malloc, ctypes.pythonapi.PyMem_Free)
    found.append(places <= chosen())
    own.choose(libc.malloc, libc.free)
    return [*found, not places.isdisjoint(chosen())]


def test_a_library_that_chooses_allocators(library) -> None:
    """Its variables are found as long as they have other functions than the C library's."""
    assert fresh(_chosen, library) == [False, True, False]


def _kept_while_tracked(library: Path) -> list[bool]:
    """Whether its variables are the same before, while and after memray tracks."""
    own = ctypes.CDLL(str(library))
    own.choose(ctypes.pythonapi.PyMem_RawMalloc, ctypes.pythonapi.PyMem_RawFree)

    def values() -> list[int | None]:
        return [ctypes.c_void_p.in_dll(own, name).value for name in VARIABLES]

    before = values()
    folder = TrackerFolder()
    tracker = SurvivorTracker(folder)
    tracker.start()
    same = [values() == before]
    own.use()
    tracker.stop()
    own.use()
    folder.close()
    return [not tracker.note, *same, values() == before]


def test_what_a_library_has_chosen_while_memray_tracks(library) -> None:
    """It stays, or the next block that it frees would abort the process."""
    assert fresh(_kept_while_tracked, library) == [True, True, True]


def _changes_while_tracked(library: Path) -> bool:
    """Whether a library that chooses while memray tracks keeps what it has chosen."""
    own = ctypes.CDLL(str(library))
    folder = TrackerFolder()
    tracker = SurvivorTracker(folder)
    tracker.start()
    own.choose(ctypes.pythonapi.PyMem_RawMalloc, ctypes.pythonapi.PyMem_RawFree)
    before = [ctypes.c_void_p.in_dll(own, name).value for name in VARIABLES]
    tracker.stop()
    folder.close()
    return before == [ctypes.c_void_p.in_dll(own, name).value for name in VARIABLES]


def test_what_a_library_chooses_meanwhile(library) -> None:
    """It stays as well when memray ends."""
    assert fresh(_changes_while_tracked, library)


def _long_numbers() -> str:
    """What is left of numbers of `decimal` that are made before memray tracks."""
    getcontext().prec = 100
    numbers = [Decimal(1) / Decimal(n) for n in (3, 7, 11)]
    folder = TrackerFolder()
    tracker = SurvivorTracker(folder)
    tracker.start()
    numbers.pop()
    tracker.stop()
    numbers.pop()
    folder.close()
    return str(numbers[0])[:5]


def test_a_module_that_keeps_its_allocators() -> None:
    """Its memory is freed by the allocator that it is from."""
    assert fresh(_long_numbers) == "0.333"
