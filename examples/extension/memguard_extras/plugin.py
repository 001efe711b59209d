"""What pytest loads: the three hooks of pytest-memguard."""

from memguard_extras.descriptors import OpenDescriptors
from memguard_extras.fd_budget import DescriptorCheck
from memguard_extras.gpu import GpuMemory
from memguard_extras.table import PeakTable


def pytest_memguard_probes():
    """Measure descriptors, and memory of the GPU."""
    return [OpenDescriptors(), GpuMemory()]


def pytest_memguard_checks():
    """Check how many descriptors a test leaves open."""
    return [DescriptorCheck()]


def pytest_memguard_renderers():
    """Write the peaks of all tests as CSV."""
    return [PeakTable()]
