"""Tests of how much a collection freed at most, from what was in use before and after."""

from __future__ import annotations

import pytest

from pytest_memguard.probes.in_use import InUse
from pytest_memguard.recording.freed import most_freed_between


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
    """What left the process and what stays as slack are both bounded, by what is known."""
    names = ("resident", "blocks", "heap", "small")
    first, last = (InUse(**dict(zip(names, v, strict=True))) for v in (before, after))
    assert most == most_freed_between(first, last, objects)
