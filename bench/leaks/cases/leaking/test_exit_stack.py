"""Enters one more context on a stack that is closed in the end, if ever."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class Lock:
    """Is held."""


@contextmanager
def locked() -> Iterator[Lock]:
    """Hold a lock."""
    lock = Lock()  # LEAK
    yield lock


_STACK = ExitStack()


def work() -> bool:
    """Do something that needs the lock."""
    return isinstance(_STACK.enter_context(locked()), Lock)  # LEAK


def test_work() -> None:
    """The lock is held."""
    assert work()
