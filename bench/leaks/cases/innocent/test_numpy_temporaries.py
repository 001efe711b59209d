"""Computes with arrays that are gone afterwards."""

import numpy as np


def test_mean() -> None:
    """The mean of a ramp is in its middle."""
    ramp = np.arange(5_001.0)
    assert float((ramp * 2 - ramp).mean()) == 2_500
