"""Names of what may be impossible to measure, for gaps and the header of a run."""

from __future__ import annotations

from typing import Final

NO_MARK: Final = "kernel's high-water mark"
NO_RESIDENT: Final = "resident memory"
NO_RESETS: Final = "tests that reset the kernel's high-water mark"
