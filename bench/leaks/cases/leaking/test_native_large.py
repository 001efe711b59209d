"""A block of C memory so large that the allocator maps it for itself."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def render(width: int) -> int:
    """Reserve a canvas and lose it."""
    leaky.reserve(200_000)  # LEAK
    return width


def test_render() -> None:
    """The width is the one asked for."""
    assert render(80) == 80
