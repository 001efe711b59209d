"""The key of a sort is a C function that frees what it takes."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_sorted() -> None:
    """Texts are sorted by length."""
    assert sorted(["three", "one"], key=leaky.parse) == ["one", "three"]
