"""Has a finalizer for something that goes."""

import weakref


class Handle:
    """Is closed in the end."""

    closed: list[int] = []


def test_use() -> None:
    """A finalizer is alive as long as what it is for."""
    handle = Handle()
    finalizer = weakref.finalize(handle, Handle.closed.clear)
    assert finalizer.alive
    del handle
    assert not finalizer.alive
