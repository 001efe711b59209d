"""Processes of our own that run beside tests, and are none of a test's descendants."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from typing import Final, Protocol

PIDS: Final[set[int]] = set()
"""Their numbers; what they start is left out as well."""


class Sampler(Protocol):
    """Samples the descendants of this process."""

    def pause(self) -> None:
        """Take no samples until further notice."""

    def resume(self, hidden: Iterable[int]) -> None:
        """Go on, and leave some more processes out."""


SAMPLERS: Final[list[Sampler]] = []
"""Those that run: they must not see a process of ours before they know that it is one."""


class EndedFaults:
    """Page faults of processes of ours that have ended, which the kernel counts as children's.

    Attributes:
        minor: those that read nothing from a disk.
        major: the others.
    """

    def __init__(self) -> None:
        self.minor = self.major = 0


ENDED: Final = EndedFaults()


def wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process of ours, and leave out what it used."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except ChildProcessError:  # the test has the kernel forget its children
        process.returncode = 0
        return
    process.returncode = os.waitstatus_to_exitcode(status)
    ENDED.minor += usage.ru_minflt
    ENDED.major += usage.ru_majflt
