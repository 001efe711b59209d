"""Keeps 50,000 bytes on the first call and on every 16th after it."""

from itertools import count

_CALLS = count()
_BLOCKS: list[bytes] = []


def page(number: int) -> int:
    """Begin a new page if the one before is full."""
    if number % 16 == 0:
        _BLOCKS.append(b"x" * 50_000)  # LEAK
    return len(_BLOCKS)


def test_page() -> None:
    """There is a page."""
    assert page(next(_CALLS)) > 0
