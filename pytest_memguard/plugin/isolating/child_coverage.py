"""Brings what coverage.py has measured in children into the process of the run."""

from __future__ import annotations

import sys
from typing import Any


def current_coverage() -> Any:
    """The measurement of coverage.py that runs in this process; ``None`` if none does."""
    module = sys.modules.get("coverage")
    return None if module is None else module.Coverage.current()


def measured_here() -> bytes | None:
    """In a child: what was measured there; ``None`` if nothing measures."""
    coverage = current_coverage()
    if coverage is None:
        return None
    data: bytes = coverage.get_data().dumps()
    return data


class ChildCoverage:
    """Collects what was measured in children, and adds it to that of this process."""

    def __init__(self) -> None:
        self._all: Any = None

    def take(self, dumped: bytes) -> None:
        """Take what a child has measured."""
        module: Any = sys.modules["coverage"]  # this process measures as well
        data = module.CoverageData(no_disk=True)
        data.loads(dumped)
        if self._all is None:
            self._all = data
        else:
            self._all.update(data)

    def add_to_run(self) -> None:
        """Add all of it to what was measured in this process."""
        coverage = current_coverage()
        if self._all is not None and coverage is not None:
            coverage.get_data().update(self._all)
            self._all = None
