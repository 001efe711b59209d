"""Keeps every request in a list that belongs to the thread."""

import threading


class Request:
    """Something asked for."""

    def __init__(self, path: str) -> None:
        self.path = path


class State(threading.local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        self.requests: list[Request] = []


_STATE = State()


def handle(path: str) -> int:
    """Handle a request and keep it with the thread."""
    _STATE.requests.append(Request(path))  # LEAK
    return 200


def test_handle() -> None:
    """A request is answered."""
    assert handle("/") == 200
