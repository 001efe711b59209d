"""Keeps requests with threads that end, by the version written in Python."""

import threading
from _threading_local import local


class State(local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        self.requests: list[object] = []


_STATE = State()


def work() -> None:
    """Keep some with this thread."""
    _STATE.requests.extend(object() for _ in range(50))


def test_work() -> None:
    """This thread does not see them."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not _STATE.requests
