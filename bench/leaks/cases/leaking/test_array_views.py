"""Keeps the first few numbers of every table, and with them the table."""

import numpy as np

_HEADS: list["np.ndarray[tuple[int], np.dtype[np.float64]]"] = []


def head() -> float:
    """Keep a view of eight bytes; its base has 40,000."""
    table = np.ones(5_000)  # LEAK
    _HEADS.append(table[:1])
    return float(_HEADS[-1][0])


def test_head() -> None:
    """The first number is one."""
    assert head() == 1
