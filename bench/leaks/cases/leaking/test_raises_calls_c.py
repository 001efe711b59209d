"""C memory that is lost on an error; pytest itself calls the C function."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_parse() -> None:
    """An empty text is an error."""
    pytest.raises(ValueError, leaky.parse, "")  # LEAK
