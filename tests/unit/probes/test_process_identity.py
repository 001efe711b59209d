"""Tests of the identity of a process, which no other process has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_memguard.probes.process_identity import _from_psutil, identity_of


@pytest.mark.parametrize("identity", [identity_of, _from_psutil])
def test_identity(identity) -> None:
    """The identity stays the same, differs between processes, and is empty for no process."""
    own = identity(os.getpid())
    assert own
    assert own == identity(os.getpid())
    assert own != identity(os.getppid())
    assert not identity(2**22 + 1)


@pytest.mark.skipif(sys.platform != "linux", reason="another way is gone elsewhere")
def test_dead() -> None:
    """A process that has ended has no identity, even before it was waited for."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert identity_of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not identity_of(process.pid)
