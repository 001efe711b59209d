"""Puts a signal handler in front of the one before it on every call."""

import signal
from collections.abc import Callable
from typing import Any


class Handler:
    """Does its own and hands on."""

    def __init__(self, before: Any) -> None:
        self.before: Callable[..., None] | None = before if callable(before) else None

    def __call__(self, number: int, frame: object) -> None:
        """Be told."""


def listen() -> bool:
    """Hear of a signal."""
    handler = Handler(signal.getsignal(signal.SIGUSR2))  # LEAK
    signal.signal(signal.SIGUSR2, handler)
    return callable(handler)


def test_listen() -> None:
    """There is somebody to tell."""
    assert listen()
