"""C code forgets a reference to a dict that holds a list."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_table() -> None:
    """A table has one column."""
    assert leaky.table() == 1  # LEAK
