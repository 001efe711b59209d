"""Why a peak may be higher than measured, and what to do about it, in words."""

from __future__ import annotations

from typing import Final

from pytest_memguard.model.measurements import Bound

REASONS: Final[dict[Bound, str]] = {
    "slack": "earlier code left slack inside the process that the kernel's mark does not show",
    "foreign": "an allocator that an extension brings along may hold free memory of earlier "
    "tests, which neither the kernel's mark nor memray shows",
    "collected": "a garbage collection in the meantime freed older memory, which can be used "
    "again without raising the kernel's mark",
    "dropped": "memory of earlier tests was released in the meantime, which can be used again "
    "without raising the kernel's mark",
    "unseen": "the test emptied gc.callbacks, so a garbage collection may have freed older "
    "memory, which can be used again without raising the kernel's mark",
    "uncounted": "resident memory rose by that much more than memray counted, which does not "
    "see what is taken through ctypes or by system calls, nor older memory that is first "
    "touched now",
}
_BY_ITSELF: Final = "; run the test by itself to decide"
REMEDIES: Final[dict[Bound, str]] = {
    "slack": _BY_ITSELF,
    "foreign": _BY_ITSELF,
    "collected": _BY_ITSELF,
    "dropped": _BY_ITSELF,
    "unseen": "",
    "uncounted": "; metric='rss' counts it",
}
"""What to do about it, to be appended to the reason."""
