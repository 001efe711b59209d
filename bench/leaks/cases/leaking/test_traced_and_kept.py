"""Traces its own memory, and keeps an object each time."""

import tracemalloc


class Report:
    """What was measured."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.texts = [str(size), "bytes"]


_REPORTS: list[Report] = []


def measured() -> int:
    """Measure how much a list takes."""
    tracemalloc.start()
    numbers = list(range(5_000))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    _REPORTS.append(Report(size))  # LEAK
    return size // len(numbers)


def test_measured() -> None:
    """A number takes some bytes."""
    assert measured() > 1
