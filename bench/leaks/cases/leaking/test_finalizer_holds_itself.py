"""Has a finalizer that refers to what it is to finalize."""

import weakref


class Handle:
    """Is to be closed in the end."""

    def __init__(self) -> None:
        self.closed = False
        weakref.finalize(self, self.close)  # LEAK

    def close(self) -> None:
        """Close it."""
        self.closed = True


def use() -> bool:
    """Take a handle and drop it."""
    return Handle().closed  # LEAK


def test_use() -> None:
    """It is open as long as it is used."""
    assert not use()
