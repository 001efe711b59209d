"""Runs a command and reads what it prints."""

import subprocess


def test_echo() -> None:
    """The output comes back."""
    done = subprocess.run(["echo", "hello"], capture_output=True, check=True)
    assert done.stdout == b"hello\n"
