"""Makes automatic collections rarer for a while, and collects itself."""

import gc


class Node:
    """Knows itself."""

    def __init__(self) -> None:
        self.me = self


def test_thresholds() -> None:
    """The thresholds are as before, and the nodes are gone."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        assert Node().me
        assert gc.collect() >= 1
    finally:
        gc.set_threshold(*before)
    assert gc.get_threshold() == before
