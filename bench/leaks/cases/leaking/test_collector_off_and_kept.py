"""Switches the collector off for a while, and keeps an object each time."""

import gc


class Batch:
    """What was done without the collector."""

    def __init__(self) -> None:
        self.items = [[1], [2]]  # LEAK


_BATCHES: list[Batch] = []


def load() -> int:
    """Load a batch quickly."""
    gc.disable()
    try:
        batch = Batch()  # LEAK
        _BATCHES.append(batch)  # LEAK
    finally:
        gc.enable()
    return len(batch.items)


def test_load() -> None:
    """A batch has two items."""
    assert load() == 2
