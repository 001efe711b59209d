"""Readings that are repeated rarely."""

from __future__ import annotations

from pytest_memguard.probes import sparing as module
from pytest_memguard.probes.sparing import Sparing


def test_expensive_readings_are_rare(monkeypatch) -> None:
    """A reading of 10 ms is repeated after 2 s at the earliest, unless it has to be fresh."""
    times = iter([0.0, 0.01] * 4)
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    now, values = [0.0], iter(range(9))
    sparing = Sparing(lambda: next(values), lambda: now[0])
    found = []
    for moment in (0.0, 1.0, 1.99, 2.01, 3.0):
        now[0] = moment
        found.append(sparing.value())
    assert found == [0, 0, 0, 1, 1]
    assert sparing.value(fresh=True) == 2
