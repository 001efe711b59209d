"""Wraps a function for C code on every call, and keeps the wrapper to be safe."""

import ctypes

_COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
_SAFE: list[object] = []


def twice(number: int) -> int:
    """Compute by way of C."""
    callback = _COMPARE(lambda value: value * 2)  # LEAK
    _SAFE.append(callback)
    return int(callback(number))


def test_twice() -> None:
    """Twice three is six."""
    assert twice(3) == 6
