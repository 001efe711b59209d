"""Tests of what is kept of a run's tests in the history."""

from __future__ import annotations

import pytest

from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.plugin.baseline.history import readings_of
from pytest_memguard.sizes import MIB
from tests.support.sample_values import rss


def measured(nodeid, mib, worker="") -> Outcome:
    """A test that passed."""
    call = PhaseReading(name="call", seconds=0.5, level=MIB, growth=7, peaks=(rss(mib),))
    return Outcome(nodeid=nodeid, worker=worker, phases=(call,))


@pytest.mark.parametrize(
    ("outcomes", "lost", "expected"),
    [
        pytest.param([], {}, [], id="nothing"),
        pytest.param(
            [measured("a", 2), measured("b", 1)],
            {},
            [("a", "passed", 2 * MIB, ""), ("b", "passed", MIB, "")],
            id="in-order",
        ),
        pytest.param(
            [measured("a", 1, "gw0"), measured("a", 3, "gw1"), measured("a", 2, "gw2")],
            {},
            [("a", "passed", 3 * MIB, "gw1")],
            id="highest-of-several",
        ),
        pytest.param([], {"a": "gw4"}, [("a", "crashed", None, "gw4")], id="crashed"),
        pytest.param(
            [measured("b", 1, "gw0")],
            {"a": "gw1"},
            [("a", "crashed", None, "gw1"), ("b", "passed", MIB, "gw0")],
            id="others-stay",
        ),
        pytest.param(
            [measured("a", 1, "gw0")],
            {"a": "gw1"},
            [("a", "crashed", None, "gw1")],
            id="crashed-in-one-of-several",
        ),
    ],
)
def test_one_reading_a_test(outcomes, lost, expected) -> None:
    """A test has one reading: its highest peak, or that its process died."""
    assert expected == [
        (reading.nodeid, reading.outcome, reading.peak, reading.worker)
        for reading in readings_of(outcomes, lost)
    ]
