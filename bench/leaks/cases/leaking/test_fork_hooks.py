"""Registers one more thing to do after a fork on every call."""

import os


class Pool:
    """Has to be made anew in child processes."""

    def __init__(self) -> None:
        self.fresh = True
        os.register_at_fork(after_in_child=self.renew)  # LEAK

    def renew(self) -> None:
        """Make it anew."""
        self.fresh = True


def open_pool() -> bool:
    """Make a pool."""
    return Pool().fresh  # LEAK


def test_open_pool() -> None:
    """A new pool is fresh."""
    assert open_pool()
