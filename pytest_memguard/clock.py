"""The clock we measure with, out of reach of libraries that replace it in tests."""

from __future__ import annotations

import time


class Clock:
    """Seconds from a monotonic clock.

    Freezing libraries swap the functions they find in module namespaces; one held by a
    class stays the real one, so a test with frozen time still has a true duration.
    """

    seconds = staticmethod(time.perf_counter)
