"""Keeps a view of the first bytes of every block it receives."""

_HEADERS: list[memoryview] = []


def receive(size: int) -> int:
    """Keep four bytes, and with them all others."""
    block = bytearray(size)  # LEAK
    _HEADERS.append(memoryview(block)[:4])  # LEAK
    return len(_HEADERS[-1])


def test_receive() -> None:
    """A header has four bytes."""
    assert receive(3_000) == 4
