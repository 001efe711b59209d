"""How the peaks of a run are spread: most tests below one size, a few above another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

from pytest_memguard.sizes import GIB, MIB

_ROUND: Final = tuple(
    int(factor * unit)
    for unit in (MIB, 10 * MIB, 100 * MIB, GIB, 10 * GIB)
    for factor in (0.5, 1, 2)
)
_LEAST_TESTS: Final = 20
_MOST: Final = 0.9
"""Share of the tests that the first size is above."""
_FEW: Final = 0.01
"""Share of the tests, and their number, that are above the second size."""
_FEW_TESTS: Final = 10


def spread_line(peaks: Iterable[int]) -> str:
    """Return how many tests are below a size, and how many above another.

    Args:
        peaks: bytes of the peak of each test.

    Returns:
        Nothing for a few tests, which the table shows.
    """
    ordered = sorted(peaks)
    tests = len(ordered)
    if tests < _LEAST_TESTS:
        return ""
    low = next((size for size in _ROUND if bisect_left(ordered, size) >= _MOST * tests), None)
    if low is None:
        return ""
    below = bisect_left(ordered, low)
    text = f"{below:,} tests below {_in_words(low)}"
    few = max(_FEW_TESTS, _FEW * tests)
    for size in _ROUND:
        above = tests - bisect_right(ordered, size)
        if size >= low and 0 < above <= few:
            return f"{text}, {above:,} above {_in_words(size)}"
    return text


def _in_words(size: int) -> str:
    return f"{size / MIB:g} MiB" if size < GIB else f"{size / GIB:g} GiB"
