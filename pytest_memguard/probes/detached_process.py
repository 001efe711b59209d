"""Starts a process of our own that is no child of this one, with pipes to it and from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

import psutil

_popen: Final = subprocess.Popen  # tests replace what they find in modules


def start_detached(module: str, call: str) -> tuple[IO[bytes], IO[bytes]]:
    """Start a Python process, and return the pipes to it and from it.

    On Unix it has to leave its first process behind, with `leave_parent`: what waits for any
    child here never gets it then.

    Args:
        module: module of this package whose function ``main`` the process calls.
        call: the arguments of the call, as they are written in Python.

    Raises:
        OSError: if it cannot be started.
    """
    folders = [str(Path(__file__).parents[2]), str(Path(psutil.__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {folders!r}; from {module} import main; main({call})"
    process = _popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=os.sep,
    )
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    if os.name == "posix":
        process.wait()  # it leaves the one that does the work behind
    return process.stdin, process.stdout


def leave_parent() -> None:  # pragma: no cover  in a process of its own
    """Go on in a process that is no child of the one that has started this one."""
    if hasattr(os, "fork"):
        if os.fork():
            os._exit(0)
        os.setsid()
