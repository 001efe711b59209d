"""C memory that is given back."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_parse() -> None:
    """A text has a length."""
    assert leaky.parse("text") == 4
