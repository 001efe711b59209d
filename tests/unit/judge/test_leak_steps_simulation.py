"""A short run of the simulation of growth in steps: no false alarm, and hardly any miss."""

from __future__ import annotations

import pytest

from bench.leak_steps import CAPS, ENDING, REGULAR, alarms, misses


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("build", [pytest.param(b, id=b.__name__) for b in REGULAR])
def test_hardly_any_miss(build, cap) -> None:
    """Steps of any size and width are found where the calls made show four of them."""
    found = misses(build, cap, 60)
    assert found.shown >= 15
    assert found.missed <= 1


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("build", [pytest.param(b, id=b.__name__) for _, b in ENDING])
def test_no_false_alarm(build, cap) -> None:
    """Buffers that are filled, emptied or cut back are not called leaking."""
    assert alarms(build, cap, 60) == 0
