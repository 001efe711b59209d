"""Starts a process of ours beside the one that runs tests, of which it is no child."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from pytest_memguard.probes.own_children import SAMPLERS, wait_for

_popen: Final = subprocess.Popen  # tests replace what they find in modules


def start_separate(
    module: str,
    *arguments: object,
    errors: int | None = subprocess.DEVNULL,
    **options: object,
) -> tuple[IO[bytes], IO[bytes]]:
    """Start a process that runs a function, and return the pipes to it and from it.

    Args:
        module: name of a module with a function ``main``, which calls `leave_parent` of
            `separate_child` first.
        arguments: its arguments; Python must be able to read their repr.
        errors: where its standard error goes to; ``None``: where ours does.
        options: its keyword arguments; the same holds for them.

    Raises:
        OSError: if it cannot be started.
    """
    import psutil

    folders = [str(Path(__file__).parents[2]), str(Path(psutil.__file__).parents[1])]
    named = (f"{name}={value!r}" for name, value in options.items())
    call = ", ".join((*map(repr, arguments), *named))
    code = f"import sys; sys.path[:0] = {folders!r}; from {module} import main; main({call})"
    process = _start_hidden([sys.executable, "-I", "-S", "-c", code], errors)
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    if os.name == "posix":
        wait_for(process)  # it leaves its own child behind
    return process.stdin, process.stdout


def _start_hidden(command: Sequence[str], errors: int | None) -> subprocess.Popen[bytes]:
    """Start a process that what samples the descendants of this one does not see."""
    samplers = list(SAMPLERS)
    hidden: list[int] = []
    for sampler in samplers:
        sampler.pause()
    try:
        process = _popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=os.sep,
        )
        hidden.append(process.pid)
    finally:
        for sampler in samplers:
            sampler.resume(hidden)
    return process


def pipe_identity(pipe: IO[bytes]) -> tuple[int, int]:
    """Return what distinguishes a pipe from another file that has got its number."""
    status = os.fstat(pipe.fileno())
    return status.st_dev, status.st_ino
