"""Sixteen bytes of C memory per call."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def register(name: str) -> str:
    """Reserve room for a name and lose it."""
    leaky.reserve(16)  # LEAK
    return name


def test_register() -> None:
    """A name stays what it is."""
    assert register("ada") == "ada"
