"""Joins resources to a transaction of the thread, which lets them go in the end."""

import threading


class Transaction:
    """Knows what has joined it."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []

    def commit(self) -> None:
        """Let all of them go."""
        self.resources.clear()


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
    """A resource has joined this thread's transaction, until that is over."""
    resource = Resource(_CURRENT)
    assert resource.transaction is _CURRENT.transaction
    if len(_CURRENT.transaction.resources) > 10:
        _CURRENT.transaction.commit()
