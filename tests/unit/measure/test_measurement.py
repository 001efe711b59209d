"""Tests of the measurement of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.measure.current_test import CurrentTest
from pytest_memguard.measure.detail import DetailedMeasurement
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.measurement import Measurement
from pytest_memguard.measure.requirements import Requirements
from pytest_memguard.model.measurements import Budget, Finding
from pytest_memguard.sizes import MIB

LIMITED = Requirements(limits=[Budget(limit=100 * MIB, where="--mem-budget")])


def judge(measured, _) -> list[Finding]:
    """The findings about the limit."""
    return measured.judge_limits(LIMITED.limits)


@pytest.fixture
def instruments() -> Iterator[Instruments]:
    """Instruments of this process, where the kernel keeps a high-water mark."""
    made = Instruments()
    if made.mark is None:
        pytest.skip("the kernel keeps no mark here")
    yield made
    made.close()


@pytest.fixture
def measurement(instruments) -> Measurement:
    """Measures a test that has a limit on its call."""
    state = CurrentTest()
    made = Measurement(
        state,
        instruments,
        lambda needed: DetailedMeasurement(state, needed, instruments, lambda: "", judge),
        judge,
    )
    made.begin_test("a test", None, LIMITED)
    return made


def test_what_takes_over_in_teardown_begins_there(measurement) -> None:
    """A stage in teardown is measured from the start of teardown, not of the call."""
    for phase in ("setup", "call"):
        measurement.begin(phase)
        measurement.end(phase)
    before = Clock.seconds()
    measurement.begin("teardown")
    measurement.detail_now()
    measurement.end("teardown")
    assert measurement.state.teardown.region.started >= before


def test_detail_goes_on_from_the_mark(measurement) -> None:
    """Further instruments begin with what the mark has shown of a phase."""
    measurement.begin("setup")
    measurement.end("setup")
    measurement.begin("call")
    held = bytearray(8 * MIB)
    measurement.detail_now()
    measurement.end("call")
    peak = {reading.name: reading.peak() for reading in measurement.phase_readings()}["call"]
    assert peak.value == measurement.rise("call")
    assert len(held) <= peak.high  # what was free may have taken it


def test_a_test_is_forgotten(measurement) -> None:
    """The next test finds nothing of the one before, however that one was measured."""
    measurement.begin("setup")
    measurement.detail_now()
    measurement.end("setup")
    state = measurement.state
    state.forget()
    assert (state.item, state.requirements, state.detail, state.begun()) == (None,) * 3 + ([],)
    state.begin_fast("another", None, LIMITED)
    assert not state.is_measured
    state.leave_fast_path()
    assert state.is_measured
    assert [phase.name for phase in state.begun()] == ["setup"]
