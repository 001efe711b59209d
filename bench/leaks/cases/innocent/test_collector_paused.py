"""Switches the collector off for a while, with cycles that it has to find later."""

import gc


class Node:
    """Knows itself."""

    def __init__(self) -> None:
        self.me = self


def test_paused() -> None:
    """It is on again afterwards."""
    gc.disable()
    try:
        nodes = [Node() for _ in range(20)]
    finally:
        gc.enable()
    assert nodes[0].me is nodes[0]
    assert gc.isenabled()
