"""Starts a child process that has to be killed, and cleans up after it."""

import subprocess


def test_timeout() -> None:
    """A killed child reports the signal."""
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as child:
        child.kill()
        assert child.wait() < 0
