"""C code forgets a reference to a class that was made for one call."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def bind(name: str) -> str:
    """Make a class and hand it to code that keeps a reference too many."""
    made = type(name, (), {})  # LEAK
    leaky.keep(made)
    return made.__name__


def test_bind() -> None:
    """The class has the name it was given."""
    assert bind("Point") == "Point"
