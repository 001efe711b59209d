"""Traces memory through the whole test, and lets go of what it makes."""

import tracemalloc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def tracing() -> Iterator[None]:
    """Trace all tests of the file."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_traced() -> None:
    """A list of texts takes some room and gives it back."""
    before, _ = tracemalloc.get_traced_memory()
    texts = [str(number) for number in range(1_000)]
    assert tracemalloc.get_traced_memory()[0] > before
    del texts
    assert tracemalloc.get_traced_memory()[0] < before + 10_000
