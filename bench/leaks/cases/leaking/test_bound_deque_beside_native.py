"""Loses native memory beside a ``deque`` of the latest 4,000 messages."""

import ctypes
from collections import deque

_TAKE = ctypes.pythonapi.PyMem_RawMalloc
_TAKE.argtypes = [ctypes.c_size_t]
_TAKE.restype = ctypes.c_void_p


class Message:
    """One of many."""


_LATEST: deque[Message] = deque(maxlen=4_000)


def encode(size: int) -> bool:
    """Take room and lose it."""
    return bool(_TAKE(size))  # LEAK


def test_encode() -> None:
    """There was room."""
    _LATEST.append(Message())
    assert encode(300)
