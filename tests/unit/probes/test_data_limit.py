"""The kernel's limit on data: set, moved, put back, and left to others."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator

import pytest

from pytest_memguard.probes.data_limit import DataLimit
from pytest_memguard.sizes import MIB

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")


@pytest.fixture
def limit() -> Iterator[DataLimit]:
    """A limit; whatever a test sets is undone."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield DataLimit()
    resource.setrlimit(resource.RLIMIT_DATA, before)


def _soft() -> int:
    soft: int = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return soft


def _map(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def test_the_kernel_refuses_what_is_beyond(limit: DataLimit) -> None:
    """A mapping within the limit succeeds, one beyond it fails, and the next succeeds."""
    assert limit.hold_to(limit.used() + 20 * MIB)
    try:
        _map(10 * MIB).close()
        with pytest.raises(OSError, match="Cannot allocate memory"):
            _map(30 * MIB)
    finally:
        assert limit.release()
    _map(30 * MIB).close()


def test_reserved_pages_count_untouched(limit: DataLimit) -> None:
    """Reserved memory counts at once, to the page."""
    before = limit.used()
    with _map(10 * MIB):
        assert limit.used() - before == 10 * MIB


def test_a_second_level_replaces_the_first(limit: DataLimit) -> None:
    """A level may be moved up and down; the one before us is put back in the end."""
    before, level = _soft(), limit.used() + 50 * MIB
    for more in (0, 20 * MIB, -20 * MIB):
        assert limit.hold_to(level + more)
        assert _soft() == level + more
    assert limit.release()
    assert _soft() == before


def test_a_lower_limit_is_left_alone(limit: DataLimit) -> None:
    """A lower limit, set by other code, stays in force."""
    lower = limit.used() + 100 * MIB
    _set_soft(lower)
    assert not limit.hold_to(lower + MIB)
    assert _soft() == lower
    assert limit.release()
    assert limit.hold_to(lower - MIB)
    assert not limit.hold_to(lower + MIB)
    assert _soft() == lower


def test_what_others_set_stays(limit: DataLimit) -> None:
    """A limit that was set meanwhile is not taken back."""
    assert limit.hold_to(limit.used() + 50 * MIB)
    other = limit.used() + 500 * MIB
    _set_soft(other)
    assert not limit.release()
    assert _soft() == other


def _set_soft(soft: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (soft, most))
