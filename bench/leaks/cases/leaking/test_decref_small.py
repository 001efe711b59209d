"""C code forgets a reference to a small object that is not tracked."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_label() -> None:
    """A label is made of its number."""
    assert leaky.label(70_000) == 7  # LEAK
