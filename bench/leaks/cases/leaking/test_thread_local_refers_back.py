"""Joins resources to a transaction of the thread, and each of them knows it."""

import threading


class Transaction:
    """Knows what has joined it."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []


class Current(threading.local):
    """The transaction that each thread has of its own."""

    def __init__(self) -> None:
        self.transaction = Transaction()


class Resource:
    """Joins the transaction."""

    def __init__(self, current: Current) -> None:
        self.transaction = current.transaction
        self.transaction.resources.append(self)


_CURRENT = Current()


def test_join() -> None:
    """A resource has joined this thread's transaction."""
    resource = Resource(_CURRENT)  # LEAK
    assert resource.transaction is _CURRENT.transaction
