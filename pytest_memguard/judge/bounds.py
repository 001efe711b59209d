"""Why a peak may be higher than the kernel's mark shows, in words."""

from __future__ import annotations

from typing import Final

from pytest_memguard.model import Bound

REASONS: Final[dict[Bound, str]] = {
    "slack": "earlier code left room free inside the process that the kernel's mark does not "
    "show",
    "collected": "a garbage collection in the meantime freed older memory, which can be used "
    "again without raising the kernel's mark",
    "dropped": "memory of earlier tests was released in the meantime, which can be used again "
    "without raising the kernel's mark",
    "unseen": "the test emptied gc.callbacks, so a garbage collection may have freed older "
    "memory, which can be used again without raising the kernel's mark",
}
REMEDY: Final = "run the test by itself to decide"
"""What helps where the memory of earlier tests is in the way."""
