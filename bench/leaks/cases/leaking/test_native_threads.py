"""Leaves a sleeping thread behind that C code has started."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def watch(name: str) -> str:
    """Start a thread that Python does not know."""
    leaky.start_thread()  # LEAK
    return name


def test_watch() -> None:
    """A name stays what it is."""
    assert watch("disk") == "disk"
