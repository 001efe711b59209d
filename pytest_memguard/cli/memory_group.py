"""A control group that holds a command and all that it starts to one limit on memory."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pytest_memguard.errors import Unmeasurable

_GROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_PATIENCE_SECONDS: Final = 2.0
"""So long the kernel may take to let go of processes that have ended."""


class _Files:
    """Names of a group's files in one version of control groups."""

    def __init__(self, version: int, limit: str, no_swap: tuple[str, str], kills: str) -> None:
        self.version = version
        self.limit = limit
        self.no_swap = no_swap
        self.kills = kills


_VERSION_1: Final = _Files(
    1, "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", "{limit}"), "memory.oom_control"
)
_VERSION_2: Final = _Files(2, "memory.max", ("memory.swap.max", "0"), "memory.events")


class MemoryGroup:
    """A group of our own, below the one that this process is in.

    Args:
        limit: bytes that all its processes may use together.
        groups: folder where control groups are mounted.
        membership: file that names the groups of this process.

    Attributes:
        version: of control groups, 1 or 2.

    Raises:
        Unmeasurable: if no group can be made here; the text is the reason.
    """

    def __init__(
        self, limit: int, groups: Path = _GROUPS, membership: Path = _MEMBERSHIP
    ) -> None:
        reason = "there are no control groups for memory"
        for parent, files in _candidates(membership, groups):
            folder = parent / f"memguard-{os.getpid()}"
            try:
                _make(folder, files, limit)
            except OSError as error:
                reason = f"{parent}: {error.strerror}"
                with contextlib.suppress(OSError):
                    folder.rmdir()
                continue
            self._folder, self._files = folder, files
            self.version = files.version
            return
        raise Unmeasurable(reason)

    def join(self) -> None:
        """Put the process that calls this into the group.

        Raises:
            OSError: if it may not be moved.
        """
        _join(self._folder)

    def kills(self) -> int:
        """Return how many processes the kernel has ended because of the limit."""
        try:
            text = (self._folder / self._files.kills).read_text(encoding="ascii")
        except OSError:
            return 0
        found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def close(self) -> None:
        """Remove the group, once its processes have ended; others stay where they are."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._folder.rmdir()
            except OSError:
                if not self._folder.exists() or time.monotonic() > end:
                    return
                time.sleep(0.02)
            else:
                return


def _candidates(membership: Path, groups: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield groups below which one of our own may be made, the nearest first.

    A group of version 2 that has processes cannot have limited groups below it: then one
    beside it may do. A container may show paths as the host sees them.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, text = rest.partition(":")
        if "memory" in controllers.split(","):
            roots, files = [groups / "memory"], _VERSION_1
        elif not controllers:
            roots, files = [groups, groups / "unified"], _VERSION_2
        else:
            continue
        for root in roots:
            own = root / text.strip("/")
            for parent in dict.fromkeys((own, own.parent if own != root else own, root)):
                if (parent / "cgroup.procs").exists():
                    yield parent, files


def _make(folder: Path, files: _Files, limit: int) -> None:
    """Make a group with a limit, and try whether a process may be moved into it.

    Raises:
        OSError: if that does not work.
    """
    folder.mkdir()
    _write(folder / files.limit, str(limit))
    name, value = files.no_swap
    with contextlib.suppress(OSError):  # where swap is not counted there is no such file
        _write(folder / name, value.format(limit=limit))
    _try_to_join(folder)


def _write(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY)  # a group that lacks the file gets none
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _join(folder: Path) -> None:
    _write(folder / "cgroup.procs", "0")


def _try_to_join(folder: Path) -> None:
    """Move a process that ends at once.

    Raises:
        OSError: if it could not be moved.
    """
    child = os.fork()
    if not child:  # pragma: no cover  in a process of its own
        try:
            _join(folder)
        except OSError as error:
            os._exit(min(error.errno or 1, 255))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise OSError(code, os.strerror(abs(code)))
