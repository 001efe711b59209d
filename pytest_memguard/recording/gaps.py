"""What may be impossible to measure, as gaps and the header of a run name it."""

from __future__ import annotations

from typing import Final

NO_MARK: Final = "kernel's high-water mark"
NO_RESIDENT: Final = "resident memory"
NO_RESETS: Final = "tests that reset the kernel's high-water mark"
