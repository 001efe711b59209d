"""Tests of how the peaks of a run are spread."""

from __future__ import annotations

import pytest

from pytest_memguard.report.peak_spread import spread_line
from pytest_memguard.sizes import MIB


@pytest.mark.parametrize(
    ("peaks", "expected"),
    [
        pytest.param([0.1] * 19, "", id="few-tests"),
        pytest.param([0.1] * 20, "20 tests below 0.5 MiB", id="all-small"),
        pytest.param(
            [0.1] * 8000 + [1] * 40 + [3] * 9,
            "8,000 tests below 0.5 MiB, 49 above 0.5 MiB",
            id="some-large",
        ),
        pytest.param([4] * 18 + [90] * 2, "18 tests below 5 MiB, 2 above 5 MiB", id="two"),
        pytest.param([99_999] * 20, "", id="all-huge"),
    ],
)
def test_spread(peaks, expected) -> None:
    """Most tests are below one round size, and a few above another one."""
    assert expected == spread_line(int(peak * MIB) for peak in peaks)
