"""Puts one more folder in front of the import path on every call."""

import sys
from itertools import count

_NUMBERS = count(1)


def add_plugins(name: str) -> str:
    """Make the modules of a folder importable, for ever."""
    folder = f"/nowhere/{name}-{next(_NUMBERS)}"  # LEAK
    sys.path.append(folder)
    return folder


def test_add_plugins() -> None:
    """The folder has its name."""
    assert "blue" in add_plugins("blue")
