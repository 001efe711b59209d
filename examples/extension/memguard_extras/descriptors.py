"""A probe that works everywhere: how many descriptors the process has open."""

import psutil

from pytest_memguard import Metric, Probe

DESCRIPTORS = Metric(
    name="descriptors",
    noun="open descriptors",
    meaning="descriptors (on Windows: handles) above those at the start",
    unit="descriptors",
)


class OpenDescriptors(Probe):
    """Knows a level and no peak of its own: the highest level that was read is the peak."""

    metric = DESCRIPTORS

    def __init__(self):
        self._process = psutil.Process()
        self._count = getattr(self._process, "num_fds", None) or self._process.num_handles

    def level(self):
        """How many are open now."""
        return self._count()
