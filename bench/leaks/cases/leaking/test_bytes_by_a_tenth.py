"""A buffer gets a tenth longer on every call, from 50,000 bytes on."""

_BUFFER = bytearray(b"x" * 50_000)


def reserve() -> int:
    """Reserve some more."""
    _BUFFER.extend(b"x" * (len(_BUFFER) // 10))  # LEAK
    return len(_BUFFER)


def test_reserve() -> None:
    """It is longer than at the start."""
    assert reserve() > 50_000
