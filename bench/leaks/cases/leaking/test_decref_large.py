"""C code forgets a reference to a large object that is not tracked."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_digest() -> None:
    """A digest of nothing is zero."""
    assert leaky.digest(8_000) == 0  # LEAK
