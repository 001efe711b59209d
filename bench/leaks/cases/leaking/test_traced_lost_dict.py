"""Traces memory through the whole test, and C code loses a dict meanwhile."""

import tracemalloc
from collections.abc import Iterator

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


@pytest.fixture(autouse=True, scope="module")
def tracing() -> Iterator[None]:
    """Trace all tests of the file."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_traced() -> None:
    """A table has one column."""
    before, _ = tracemalloc.get_traced_memory()
    assert leaky.table() == 1  # LEAK
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < 10_000
