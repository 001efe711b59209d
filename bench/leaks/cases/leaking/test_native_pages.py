"""A page that C code maps and never unmaps."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def share(text: str) -> str:
    """Map a page and lose it."""
    leaky.map_page()  # LEAK
    return text


def test_share() -> None:
    """A text stays what it is."""
    assert share("here") == "here"
