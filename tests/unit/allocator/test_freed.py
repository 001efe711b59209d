"""Tests of how much a collection freed at most, from what was in use before and after."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from pytest_memguard.allocator.freed import most_freed_between
from pytest_memguard.probes.in_use import InUse, InUseProbe
from pytest_memguard.probes.slack import SlackProbe
from tests.support.fresh_process import alone


@pytest.mark.parametrize(
    ("most", "before", "after", "objects"),
    [
        pytest.param(0, (900, 9, 90, 90), (100, 1, 10, 10), 0, id="no-objects"),
        pytest.param(800, (900, 9, 90, 90), (100, 9, 90, 90), 1, id="pages"),
        pytest.param(0, (100, 1, 10, 10), (900, 9, 90, 90), 1, id="all-has-risen"),
        pytest.param(130, (900, 9, 90, 90), (900, 1, 10, 40), 1, id="heap-and-small-blocks"),
        pytest.param(130, (900, 9, 90, 90), (850, 1, 10, 40), 1, id="part-of-it-gave-pages"),
        pytest.param(80, (900, 9, 90, 90), (900, 9, 10, 99), 1, id="small-blocks-have-risen"),
        pytest.param(50, (900, 9, 90, 90), (900, 1, 95, 40), 1, id="heap-has-risen"),
        pytest.param(
            80 + 8 * 512, (900, 9, 90, None), (900, 1, 10, None), 1, id="blocks-of-any-size"
        ),
        pytest.param(
            8 * 8192, (900, 9, None, None), (900, 1, None, None), 1, id="heap-is-not-known"
        ),
        pytest.param(
            900, (900, None, None, None), (700, None, None, None), 3, id="nothing-bounds-it"
        ),
    ],
)
def test_most(most, before, after, objects) -> None:
    """Memory that left the process and memory that stays as slack are both bounded."""
    names = ("resident", "blocks", "heap", "small")
    first, last = (InUse(**dict(zip(names, v, strict=True))) for v in (before, after))
    assert most == most_freed_between(first, last, objects)


@alone
def test_while_tracemalloc_hooks_pymalloc() -> None:
    """Blocks that leave free places in pymalloc's pools count, though it reports nothing."""
    probe = InUseProbe(_level, SlackProbe().read_used)
    garbage = [[] for _ in range(100_000)]
    pinned = garbage[::50]  # so that no arena is given back
    tracemalloc.start()
    before = probe.read(whole=True)
    del garbage
    after = probe.read(whole=True)
    tracemalloc.stop()
    assert len(pinned) * 49 * 56 < most_freed_between(before, after, 1)


def _level() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")
