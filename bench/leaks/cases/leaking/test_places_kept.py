"""Asks where an object was made, on every call, and keeps the answers."""

import tracemalloc
from collections.abc import Iterator

import pytest

_PLACES: list[tracemalloc.Traceback | None] = []


@pytest.fixture(autouse=True, scope="module")
def tracing() -> Iterator[None]:
    """Trace all tests of the file."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_place() -> None:
    """It was made here."""
    made = bytearray(100)
    _PLACES.append(tracemalloc.get_object_traceback(made))  # LEAK
    assert _PLACES[-1]
