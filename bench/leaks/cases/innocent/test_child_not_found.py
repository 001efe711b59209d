"""Runs a command that does not exist."""

import subprocess

import pytest


def test_missing() -> None:
    """A missing command is an error."""
    with pytest.raises(FileNotFoundError):
        subprocess.run(["there-is-no-such-command"], check=True)
