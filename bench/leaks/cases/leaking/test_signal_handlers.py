"""Puts a signal handler in front of the one before it on every call."""

import signal
from collections.abc import Callable
from typing import Any


class Handler:
    """Handles a signal and calls the handler before it."""

    def __init__(self, before: Any) -> None:
        self.before: Callable[..., None] | None = before if callable(before) else None

    def __call__(self, number: int, frame: object) -> None:
        """Handle the signal."""


def listen() -> bool:
    """Register for a signal."""
    handler = Handler(signal.getsignal(signal.SIGUSR2))  # LEAK
    signal.signal(signal.SIGUSR2, handler)
    return callable(handler)


def test_listen() -> None:
    """A handler was there before."""
    assert listen()
