"""Keeps something with a thread that ends."""

import threading

_STATE = threading.local()


def work() -> None:
    """Keep a lot with this thread."""
    _STATE.rows = [object() for _ in range(100)]


def test_work() -> None:
    """Another thread's rows are not seen here."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not hasattr(_STATE, "rows")
