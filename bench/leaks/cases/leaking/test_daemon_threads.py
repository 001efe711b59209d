"""Leaves a sleeping thread behind on every call."""

import threading

_STOP = threading.Event()


def watch() -> bool:
    """Start a thread that waits for something that never comes."""
    thread = threading.Thread(target=_STOP.wait, daemon=True)  # LEAK
    thread.start()  # LEAK
    return thread.is_alive()


def test_watch() -> None:
    """The thread is running."""
    assert watch()
