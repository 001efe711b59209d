"""Keeps requests in what each thread has of its own, by the version written in Python."""

import threading
from _threading_local import local


class Request:
    """Something asked for."""


class State(local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        self.requests: list[Request] = []


_STATE = State()


def count() -> int:
    """How many requests this thread has."""
    return len(_STATE.requests)


def test_handle() -> None:
    """Another thread does not see the request."""
    _STATE.requests.append(Request())  # LEAK
    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
