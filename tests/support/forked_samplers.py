"""Processes that sample others, forked from one that has imported what they need.

Runs of pytest in a new interpreter, and those in the tests' own process, start real ones.
"""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from pytest_memguard.probes import separate_process

_MODULES = (
    "pytest_memguard.probes.run_alert_watcher",
    "pytest_memguard.probes.run_watcher",
    "pytest_memguard.probes.tree_sampler",
    "pytest_memguard.recording.watch_process",
)
_ROOT = Path(__file__).parents[2]
_FOLDERS = [str(_ROOT), str(Path(psutil.__file__).parents[1])]
_MOST_BYTES = 65536


class Sampler:
    """A process that is no child of this one, with what is used of a `subprocess.Popen`.

    Args:
        server: number of the process that forks it.
        stdin: where it reads.
        stdout: where it writes.
    """

    def __init__(self, server: int, stdin: int, stdout: int) -> None:
        """Take the ends of its pipes."""
        self.pid = server
        self.returncode: int | None = None
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")


def fork_samplers() -> None:
    """Start the process that forks, and have runs in forks of this one ask it."""
    if sys.platform != "linux":  # not every system has sockets that keep messages apart
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = f"import sys; sys.path[:0] = {_FOLDERS!r}; from {__name__} import serve; "
    start = separate_process._popen
    server = start(
        [sys.executable, "-I", "-S", "-c", code + f"serve({theirs.fileno()})"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=os.sep,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def fork(command: Sequence[str], *, stderr: int | None, **options: Any) -> Any:
        read, to_it = os.pipe()
        from_it, write = os.pipe()
        errors = os.open(os.devnull, os.O_WRONLY) if stderr == subprocess.DEVNULL else stderr
        files = [read, write, 2 if errors is None else errors]
        try:
            socket.send_fds(ours, [command[-1].encode()], files)
        except OSError:  # a test has closed all files
            return start(command, stderr=stderr, **options)
        finally:
            for file in (read, write, *([errors] if errors not in {None, stderr} else [])):
                os.close(file)
        return Sampler(server.pid, to_it, from_it)

    separate_process._popen = fork


def serve(number: int) -> None:
    """Fork for each message, and do there what it says, with the files that came with it.

    Args:
        number: of the socket.
    """
    for name in _MODULES:
        importlib.import_module(name)
    with socket.socket(fileno=number) as asked:
        while True:
            message, files, *_ = socket.recv_fds(asked, _MOST_BYTES, 3)
            if not message:
                return
            child = os.fork()
            if child == 0:
                break
            for file in files:
                os.close(file)
            os.waitpid(child, 0)  # the first thing that it does is to leave
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    exec(message.decode(), {})  # noqa: S102  what `start_separate` would have a new interpreter do
