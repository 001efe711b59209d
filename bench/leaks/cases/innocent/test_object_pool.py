"""A pool of buffers that the first call fills."""

_POOL: list[bytearray] = []


def borrow() -> bytearray:
    """Take a buffer; the first call makes twenty."""
    if not _POOL:
        _POOL.extend(bytearray(1_000) for _ in range(20))
    return _POOL.pop()


def test_borrow() -> None:
    """A buffer is as large as all others, and goes back."""
    buffer = borrow()
    assert len(buffer) == 1_000
    _POOL.append(buffer)
