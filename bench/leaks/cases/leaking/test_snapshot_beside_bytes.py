"""Replaces a snapshot of 400 bytes objects, and keeps a checksum of each for ever."""

from itertools import count

_NUMBERS = count(1_000)
_SUMS: dict[int, bytes] = {}


class Store:
    """What is stored now."""

    blobs: tuple[bytes, ...] = ()


def store(number: int) -> int:
    """Replace all of it."""
    Store.blobs = tuple(bytes([number % 256]) * 700 for _ in range(400))
    _SUMS[number] = Store.blobs[0][:90]  # LEAK
    return len(Store.blobs)


def test_store() -> None:
    """There are 400."""
    assert store(next(_NUMBERS)) == 400
