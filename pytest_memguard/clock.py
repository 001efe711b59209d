"""The clocks we measure with, out of reach of libraries that replace them in tests."""

from __future__ import annotations

import time


class Clock:
    """Seconds from a monotonic clock, and those for which this thread had the processor.

    Freezing libraries swap the functions they find in module namespaces; one held by a
    class stays the real one, so a test with frozen time still has a true duration.
    """

    seconds = staticmethod(time.perf_counter)
    cpu = staticmethod(time.thread_time)
    """For what something costs: on a busy machine seconds may pass in the middle of it."""
