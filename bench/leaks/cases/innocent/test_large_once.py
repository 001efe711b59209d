"""The first call makes 60 MB that are kept, and no other does."""

from functools import cache


@cache
def table() -> bytes:
    """A large table."""
    return b"x" * 60_000_000


def test_table() -> None:
    """The table is there."""
    assert len(table()) == 60_000_000
