"""The clocks that we measure with, protected from libraries that replace them in tests."""

from __future__ import annotations

import time


class Clock:
    """Seconds from a monotonic clock, and processor time of this thread.

    Libraries that freeze time replace the functions that they find in modules. A function held
    by a class stays the real one, so a test with frozen time still has its true duration.
    """

    seconds = staticmethod(time.perf_counter)
    cpu = staticmethod(time.thread_time)
    """For the cost of something: on a busy machine other threads may run in the middle of
    it."""
