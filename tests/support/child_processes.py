"""Child processes that use memory, for tests of what a process tree uses."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

MIB = 1 << 20
_PROGRAM = """
import sys
block = bytearray({size})
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def program(size: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has so many bytes, until the end of the block."""
    code = _PROGRAM.format(size=size)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        yield child
        child.stdin.close()


@contextlib.contextmanager
def copies(count: int, does: Callable[[], object] = object) -> Iterator[list[int]]:
    """Forked copies of this process that have done something, until the end of the block."""
    children, ends = [], []
    try:
        for _ in range(count):
            ready, write = os.pipe()
            wait, end = os.pipe()
            pid = os.fork()
            if not pid:
                for inherited in (*ends, end):  # or it keeps its siblings waiting
                    os.close(inherited)
                kept = does()
                os.write(write, b"x")
                os.read(wait, 1)
                del kept
                os._exit(0)
            os.close(wait)
            ends.append(end)
            children.append(pid)
            os.read(ready, 1)
            os.close(ready)
            os.close(write)
        yield children
    finally:
        for end in ends:
            os.close(end)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
