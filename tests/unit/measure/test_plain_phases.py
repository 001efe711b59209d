"""Tests of phases in which nothing is out of the ordinary: they end as any other."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.measure.current_test import CurrentTest
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.measure.measurement import Measurement
from pytest_memguard.measure.plain_phases import plain_phases
from pytest_memguard.measure.requirements import NOTABLE_RISE_BYTES, Requirements
from pytest_memguard.model.measurements import PHASES, Budget
from pytest_memguard.probes import marks_in_use
from pytest_memguard.sizes import MIB

BOUNDED = Requirements(bounds=True)
LIMITED = Requirements(bounds=True, limits=[Budget(limit=100 * MIB, where="--mem-budget")])


@pytest.fixture
def instruments(monkeypatch) -> Iterator[Instruments]:
    """Instruments of this process, whose heap is cheap to trim and whose mark is its own."""
    monkeypatch.setattr(marks_in_use, "_IN_USE", weakref.WeakSet())
    made = Instruments()
    if made.mark is None or plain_phases(CurrentTest(), made) is None:
        pytest.skip("the kernel keeps no mark here, or nothing bounds the slack")
    made.settle(0)
    if not made.settle.cheap:
        pytest.skip("trimming the heap is expensive here")
    made.slack_estimator.fill_all(made.mark.level())  # what earlier tests left free
    made.slack_estimator.has_filled()
    made.slack_estimator._now = count(1000).__next__  # each answer is new for 200 questions
    yield made
    made.close()


class Counting:
    """Counts the phases that were plain.

    Args:
        measurement: whose.
    """

    def __init__(self, measurement: Measurement) -> None:
        """Begin with none."""
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._plain = measurement._plain

    def begin(self, name, start) -> bool:
        """Begin one."""
        return self._counted(self._plain.begin, name, start, self.begun)

    def end(self, name, start) -> bool:
        """End one."""
        return self._counted(self._plain.end, name, start, self.ended)

    def _counted(self, do: Callable[..., bool], name, start, to) -> bool:
        found = do(name, start)
        if found:
            to.append(name)
        return found


@pytest.fixture
def measure(instruments) -> Callable[..., tuple[Measurement, Counting]]:
    """Measures a test, given what its call does."""

    def run(call: Callable[[], object], needed: Requirements = BOUNDED, *, plain: bool = True):
        """Measure one."""
        measurement = Measurement(CurrentTest(), instruments, lambda _: None, lambda *_: [])
        counting = measurement._plain = Counting(measurement) if plain else None
        measurement.begin_test("a test", None, needed)
        for name in PHASES:
            measurement.begin(name)
            kept = call() if name == "call" else None
            assert measurement.end(name) is None
            del kept
        return measurement, counting

    return run


@pytest.mark.parametrize("needed", [BOUNDED, LIMITED], ids=["no-limit", "limit"])
def test_plain_phases_are_measured(measure, needed) -> None:
    """A test that does nothing is plain from start to end, and all of it is known."""
    measure(lambda: None, needed)  # what the first one makes is there from now on
    measurement, counting = measure(lambda: None, needed)
    assert (counting.begun, counting.ended) == (list(PHASES), list(PHASES))
    names = [numbers[0] for numbers in measurement.marked_numbers()]
    assert names == list(PHASES)
    assert measurement.state.after == measurement._instruments.base


def test_numbers_are_those_of_any_phase(measure) -> None:
    """Numbers measured in one function equal those measured step by step."""
    size = NOTABLE_RISE_BYTES // 2
    rises = []
    for plain in (True, False, True, False):
        measurement, counting = measure(lambda: bytearray(size), plain=plain)
        rises.append(measurement.rise("call"))
        assert counting is None or "call" in counting.ended
    assert max(rises) - min(rises) <= RSS_RESOLUTION


def test_much_memory_is_not_plain(measure) -> None:
    """The heap of a test that used more is settled, and its peak is noted as slack."""
    measurement, counting = measure(lambda: bytearray(8 * MIB))
    assert "call" not in counting.ended
    assert measurement.rise("call") >= 8 * MIB - RSS_RESOLUTION


def test_what_others_reset_is_not_plain(instruments) -> None:
    """A peak that other code has reset is not attributed to the test."""
    measurement = Measurement(CurrentTest(), instruments, lambda _: None, lambda *_: [])
    counting = measurement._plain = Counting(measurement)
    measurement.begin_test("a test", None, BOUNDED)
    for name in ("setup", "call"):
        measurement.begin(name)
    instruments.mark.note_reset()
    with pytest.raises(AttributeError):  # there is nothing here that measures more
        measurement.end("call")
    assert "call" in counting.begun
    assert counting.ended == []


def test_records_are_not_plain(measure) -> None:
    """Peaks that are stored are measured with free chunks in reserve."""
    _, counting = measure(lambda: None, Requirements(bounds=True, record=True))
    assert (counting.begun, counting.ended) == ([], [])
