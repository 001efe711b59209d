"""Removes its temporary file, and forgets that it is open."""

import tempfile
from pathlib import Path


def scratch() -> bool:
    """Make a temporary file and remove it."""
    _, name = tempfile.mkstemp()  # LEAK
    Path(name).unlink()
    return Path(name).exists()


def test_scratch() -> None:
    """The file is gone."""
    assert not scratch()
