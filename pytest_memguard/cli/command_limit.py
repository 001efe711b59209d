"""What ``--limit`` of ``memguard watch`` holds a command to, and by which means."""

from __future__ import annotations

import sys
from typing import Final

from pytest_memguard.cli.memory_group import MemoryGroup
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.sizes import format_size

SAMPLED_SECONDS: Final = 0.1
"""The longest time between two samples where these are what enforces the limit."""


class CommandLimit:
    """A limit on the memory of a command, with all that it starts.

    A control group holds all processes together. Where none can be made, samples do. In both
    cases the kernel holds each process alone as well, where it can: an allocation beyond the
    limit fails, which is easier to explain than a process that is killed.

    Args:
        size: bytes.

    Attributes:
        size: bytes.
        is_sampled: whether samples have to hold all processes together.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._seen = 0
        self._alone = _data_is_limited()
        self._group: MemoryGroup | None = None
        self._reason = ""
        try:
            self._group = MemoryGroup(size)
        except (Unmeasurable, OSError) as error:
            self._reason = str(error)
        self.is_sampled = self._group is None

    def text(self) -> str:
        """Return what holds the command to it."""
        size = format_size(self.size)
        if self._group is not None:
            held = (
                f"held by the kernel for all processes together (cgroup v{self._group.version})"
            )
        else:
            held = (
                f"all processes together are sampled every {SAMPLED_SECONDS * 1000:.0f} ms at "
                f"least, and ended above it ({self._reason})"
            )
        alone = ", and for each alone (RLIMIT_DATA)" if self._alone else ""
        return f"limit of {size}: {held}{alone}"

    def begin_in_child(self) -> None:  # pragma: no cover  in a process of its own
        """Hold the process that calls this, and what it starts, to the limit."""
        if self._group is not None:
            self._group.join()
        if self._alone:
            import resource  # not on Windows

            resource.setrlimit(resource.RLIMIT_DATA, (self.size, self.size))

    def new_kills(self) -> int:
        """Return how many processes the kernel has ended because of it since the last call."""
        if self._group is None:
            return 0
        before, self._seen = self._seen, self._group.kills()
        return self._seen - before

    def close(self) -> None:
        """Remove the group."""
        if self._group is not None:
            self._group.close()


def _data_is_limited() -> bool:
    """Return whether the kernel can hold one process to a limit on its data."""
    if sys.platform != "linux":
        return False
    from pytest_memguard.probes.data_limit import DataLimit

    try:
        DataLimit()
    except Unmeasurable:
        return False
    return True
