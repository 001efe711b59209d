"""C memory that grows to the largest size there is, and is used again."""

import random

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")

_RANDOM = random.Random(13)


def test_scratch() -> None:
    """There is always room enough."""
    size = _RANDOM.randint(1, 60_000)
    assert leaky.scratch(size) >= size
