"""A probe that keeps a peak of its own: memory that PyTorch has taken on the GPU."""

from pytest_memguard import Metric, Probe

GPU = Metric(
    name="gpu",
    noun="peak GPU memory",
    meaning="bytes that PyTorch's allocator has handed out on the current CUDA device",
)


class GpuMemory(Probe):
    """Asks ``torch.cuda``; a budget on it says why it is not measured where there is none."""

    metric = GPU

    def start(self):
        """Load PyTorch, only for tests that ask for this metric."""
        try:
            import torch
        except ImportError:
            self.lost = "PyTorch is not installed"
            return
        if not torch.cuda.is_available():
            self.lost = "there is no CUDA device"
            return
        self._cuda = torch.cuda

    def level(self):
        """Bytes that are handed out now."""
        return 0 if self.lost else self._cuda.memory_allocated()

    def restart(self):
        """Begin to count the peak from here."""
        if not self.lost:
            self._cuda.reset_peak_memory_stats()
        return self.level()

    def read(self):
        """Level and peak."""
        return self.level(), 0 if self.lost else self._cuda.max_memory_allocated()
