"""The key of a sort is a C function that loses a text for each item."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_sorted() -> None:
    """Numbers are sorted by their first digit."""
    assert sorted([80_000, 70_000], key=leaky.label) == [70_000, 80_000]  # LEAK
