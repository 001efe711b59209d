"""Compares two snapshots of its own memory and drops both."""

import tracemalloc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def tracing() -> Iterator[None]:
    """Trace all tests of the file."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_compared() -> None:
    """Something was made between them."""
    own = [tracemalloc.Filter(inclusive=True, filename_pattern=__file__)]
    before = tracemalloc.take_snapshot().filter_traces(own)
    texts = [str(number) * 2 for number in range(200)]
    after = tracemalloc.take_snapshot().filter_traces(own)
    assert after.compare_to(before, "lineno")
    assert texts
