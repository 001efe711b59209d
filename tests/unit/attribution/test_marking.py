"""Tests of who holds which blocks, on blocks of this process."""

from __future__ import annotations

import gc
import sys

import pytest

from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.pieces import with_reused
from pytest_memguard.probes.block_tracker import BlockTracker
from pytest_memguard.probes.heap import TrackerFolder
from pytest_memguard.probes.process_memory import memory_reader
from pytest_memguard.probes.surviving_blocks import warm_up
from tests.support.fresh_process import fresh
from tests.unit.attribution.leaking import CALLS, module

HOLDERS = {
    "objects": ("H = []", "H.append(Request())", ">=3"),  # CPython 3.13 has no dict apart
    "bytes": ("H = []", "H.append(b'x' * (100 + n))", "==1"),
    "text-keys": ("H = {}", "H[f'key {n}'] = None", "==1"),
    "classes-in-lists": ("H = []", "H.append([n + 1000, int])", ">=3"),
    "deque": ("H = collections.deque()", "H.append([n + 1000])", ">=3"),
    "thread-locals": ("H = []", "H.append(threading.local())", ">=7"),
    "weak-callbacks": (
        "H = []\nclass Key: pass\nKEY = Key()",
        "H.append(weakref.ref(KEY, lambda _, kept=[n + 1000]: kept))",
        ">=4",
    ),
    "weak-of-c-code": (
        "H = []\nclass Key: pass\nkeep = ctypes.pythonapi.Py_IncRef",
        (
            "H.append(Key()); "
            "keep(ctypes.py_object(weakref.ref(H[-1], lambda _, kept=[n + 1000]: kept)))"
        ),
        ">=6",
    ),
    "texts-of-streams": (
        "H = []",
        "H.append(io.StringIO()); H[-1].write(f'text {n}')",
        ">=4" if sys.version_info < (3, 12) else ">=2",
    ),
    "lru-cache": (
        "@functools.lru_cache(None)\ndef H(s): return [s]",
        "H(f'text {n}')",
        ">=3",
    ),
}
OTHER = "OTHER = []\n"


def _held(head: str, body: str) -> tuple[int, int, int]:
    """Blocks of the holder, of the other list, and of both."""
    source = f"{OTHER}{head}\ndef leak(n):\n    OTHER.append([bytes(n + 50)])\n    {body}\n"
    warm_up()
    with module(source) as made:
        for number in range(40):
            made.leak(number)
        gc.collect()
        gc.freeze()
        tracker = BlockTracker(TrackerFolder())
        tracker.start()
        for number in range(CALLS):
            made.leak(number + 300)
        tracker.stop()
        new = gc.get_objects()
        gc.unfreeze()
        pieces = with_reused(tracker.read() or [], new)
        marker = BlockMarker(pieces, new, memory_reader())
        held, other = marker.held_by(made.H), marker.held_by(made.OTHER)
        buffers = marker.buffers(made.H) | marker.buffers(made.OTHER)
        return len(held - buffers), len(other - buffers), len(held & other)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc/self/mem")
@pytest.mark.parametrize(("head", "body", "least"), HOLDERS.values(), ids=HOLDERS)
def test_each_block_has_one_holder(head, body, least):
    """A container has all that is in it, and nothing of what another one has."""
    held, other, both = fresh(_held, head, body)
    each = held / CALLS
    assert eval(f"{each:.0f} {least}"), each  # noqa: S307  from the table above
    assert other >= 3 * CALLS - 2
    assert both < CALLS / 2  # so few never make two containers one leak


def test_memory_that_is_not_there():
    """Memory that is not mapped reads as nothing."""
    read = memory_reader()
    if read is not None:
        assert read(8, 16) == b""
