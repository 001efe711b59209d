"""What is kept of the rounds of a leak check."""

from __future__ import annotations

from array import array

import pytest

from pytest_memguard.recording.kept_rounds import KeptRounds


@pytest.mark.parametrize(
    ("rounds", "rose"),
    [
        pytest.param([], [False, False], id="none"),
        pytest.param([(0, -8)], [False, False], id="flat"),
        pytest.param([(0, 0), (1, 0)], [True, False], id="latest"),
        pytest.param([(0, 16), (0, -16)], [False, True], id="earlier"),
    ],
)
def test_rose_in(rounds, rose):
    """A signal has risen if it did so in any of the rounds, whatever came afterwards."""
    kept = KeptRounds(("blocks", "C heap"))
    for moved in rounds:
        kept.add(4, array("q", [5, 5]), array("q", [5 + by for by in moved]))
    assert rose == [kept.rose_in(index) for index in range(2)]
