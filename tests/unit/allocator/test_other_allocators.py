"""Tests of what other allocators report and return, with stand-ins and with pyarrow."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from pytest_memguard.allocator.other_allocators import OtherAllocators

MIB = 1 << 20
NOTHING = SimpleNamespace()


class FakePool:
    """A memory pool of pyarrow's."""

    def __init__(self, backend: str) -> None:
        """Begin with 5 bytes in use."""
        self.backend_name = backend
        self.released = 0

    def bytes_allocated(self) -> int:
        """Bytes in use."""
        return 5

    def release_unused(self) -> None:
        """Count the call."""
        self.released += 1


def modules_with(pool: FakePool) -> dict[str, object]:
    """What ``sys.modules`` has where pyarrow is loaded."""
    return {"pyarrow": SimpleNamespace(default_memory_pool=lambda: pool)}


@pytest.mark.parametrize(
    ("backend", "in_use"),
    [
        pytest.param("mimalloc", 5, id="its-own"),
        pytest.param("jemalloc", 5, id="another-of-its-own"),
        pytest.param("system", 0, id="the-c-heap"),
    ],
)
def test_pool_of_pyarrow(backend, in_use) -> None:
    """A pool beside the C heap says what is in use, and gives back the rest."""
    pool = FakePool(backend)
    others = OtherAllocators(NOTHING, modules_with(pool))
    assert in_use == others.in_use()
    assert bool(in_use) is others.give_back(10 * MIB, MIB)
    assert bool(in_use) is bool(pool.released)


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param({}, id="not-loaded"),
        pytest.param({"pyarrow": None}, id="blocked"),
        pytest.param({"pyarrow": SimpleNamespace()}, id="half-loaded"),
    ],
)
def test_no_pool(modules) -> None:
    """Where no pool is loaded, nothing is measured."""
    others = OtherAllocators(NOTHING, modules)
    assert others.in_use() == 0
    assert not others.give_back(10 * MIB, MIB)


def test_it_is_asked_again_when_the_process_has_grown() -> None:
    """Growth counts from where the process was smallest since the last time."""
    pool = FakePool("mimalloc")
    others = OtherAllocators(NOTHING, modules_with(pool))
    levels = [50, 51, 52, 40, 41, 42, 60]
    asked = [others.give_back(level * MIB, MIB) for level in levels]
    assert asked == [True, False, True, False, False, True, True]


def test_level_after_it_has_given_back() -> None:
    """Growth counts from the level at which the pool was released."""
    others = OtherAllocators(NOTHING, modules_with(FakePool("mimalloc")))
    assert others.give_back(100 * MIB, MIB)
    others.note(20 * MIB)
    assert others.give_back(22 * MIB, MIB)


def test_mimalloc_that_the_process_exports() -> None:
    """Memguard asks mimalloc for a forced collection."""
    forced = []
    library = SimpleNamespace(mi_collect=lambda force: forced.append(force.value))
    assert OtherAllocators(library, {}).give_back(10 * MIB, MIB)
    assert forced == [True]


class FakeJemalloc:
    """Answers as ``mallctl`` does; records the names it was called with."""

    def __init__(self, *, has_statistics: bool = True) -> None:
        """Begin with 7 bytes in use."""
        self.asked: list[bytes] = []
        self._has_statistics = has_statistics

    def mallctl(self, name, old, length, new, size) -> int:
        """Write the bytes in use where they are asked for."""
        self.asked.append(name.value)
        if name.value == b"stats.allocated":
            if not self._has_statistics:
                return 2
            assert length._obj.value == ctypes.sizeof(old._obj)
            old._obj.value = 7
        elif name.value == b"epoch":
            assert (new._obj.value, size.value) == (1, 8)
        return 0


def test_jemalloc_that_the_process_exports() -> None:
    """Memguard adds up what jemalloc has in use, and purges all arenas."""
    library = FakeJemalloc()
    others = OtherAllocators(library, {})
    assert others.in_use() == 7
    assert others.give_back(10 * MIB, MIB)
    assert library.asked == [
        b"epoch",
        b"stats.allocated",
        b"thread.tcache.flush",
        b"arena.4096.purge",
    ]


def test_jemalloc_without_statistics() -> None:
    """Memory that an allocator does not report may be free."""
    assert OtherAllocators(FakeJemalloc(has_statistics=False), {}).in_use() == 0


def test_real_process() -> None:
    """The allocators that this process has really loaded can be queried."""
    others = OtherAllocators()
    others.give_back(1 << 40, 0)
    assert others.in_use() >= 0
