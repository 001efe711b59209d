"""C memory that is freed unless the input is bad."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_parse() -> None:
    """A text has a length, and an empty one is an error."""
    assert leaky.parse("text") == 4
    with pytest.raises(ValueError, match="empty"):
        leaky.parse("")  # LEAK
