"""The processes of a run, and what each of them uses, on Linux."""

from __future__ import annotations

from pytest_memguard.model.aborts import ProcessLevel
from pytest_memguard.probes.tree_linux import LinuxTree


class LinuxRun(LinuxTree):
    """The process that pytest was started in, and its descendants."""

    def check_root(self) -> None:
        """Raise an OSError if the first process has ended."""
        self.root.update_sizes()

    def levels(self) -> tuple[ProcessLevel, ...]:
        """Return what each process used at the last sample."""
        return tuple(
            ProcessLevel(pid=one.pid, parent=one.parent, size=one.resident)
            for one in (self.root, *self.living)
        )
