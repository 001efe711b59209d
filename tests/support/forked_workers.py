"""Workers of pytest-xdist that were forked, in the place of new interpreters."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

from execnet import gateway_io
from execnet.gateway_base import Popen2IO

_spares: list[Spare] = []


class Spare:
    """A fork of this process that waits for the code that ``python -c`` would run.

    It has what execnet uses of a `subprocess.Popen`.
    """

    def __init__(self) -> None:
        """Fork."""
        (read, self_write), (self_read, write) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for spare in _spares:  # whose ends are the parent's
                spare.stdin.close()
                spare.stdout.close()
            os.close(self_write)
            os.close(self_read)
            _be_worker(read, write)
        os.close(read)
        os.close(write)
        self.stdin: IO[bytes] = os.fdopen(self_write, "wb")
        self.stdout: IO[bytes] = os.fdopen(self_read, "rb")

    def wait(self) -> int:
        """Wait for its end."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, 9)


def _be_worker(read: int, write: int) -> None:
    os.dup2(read, 0)
    os.dup2(write, 1)
    os.close(read)
    os.close(write)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  execnet closes it
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open
    line = sys.stdin.readline()
    if line:  # otherwise no worker took this fork
        exec(eval(line), {"__name__": "__main__"})  # noqa: S102, S307  as execnet has it
    sys.exit()


class _Master(gateway_io.Popen2IOMaster):
    """Talks to a spare fork, as long as there is one."""

    def __init__(self, args: Any, execmodel: Any) -> None:
        if not _spares:
            super().__init__(args, execmodel)
            return
        self.popen = _spares.pop(0)
        Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel)


def fork_spares(number: int) -> None:
    """Fork now, as there are no threads yet, what the next workers will be.

    Args:
        number: of workers.
    """
    for _ in range(number):
        _spares.append(Spare())  # noqa: PERF401  each knows those before it
    gateway_io.Popen2IOMaster = _Master
