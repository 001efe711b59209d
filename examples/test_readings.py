"""What readings.py must do, and how much memory it may take to do it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_up import CALIBRATIONS, FAULTS, ROWS, START
from readings import (
    FAULT_CODE,
    Reading,
    calibrated,
    load,
    lookup_table,
    mean_by_sensor,
    packed,
    parse,
    stream,
    valid,
)

if TYPE_CHECKING:
    from pytest_memguard import MemGuard


def test_a_row_becomes_a_reading() -> None:
    """An ordinary test: it has no budget, and --mem reports it with the others."""
    reading = parse(["2026-03-01T00:00:00+00:00", "north-ridge", "sensor-07", "512"])
    assert reading == Reading(START, "sensor-07", 512.0)


def test_fault_codes_are_left_out() -> None:
    """Another ordinary test."""
    good = Reading(START, "sensor-01", 12.0)
    fault = Reading(START, "sensor-02", FAULT_CODE)
    assert list(valid([good, fault])) == [good]


@pytest.mark.mem_budget(8)
def test_means_of_a_stream(season: Path) -> None:
    """Within its budget: one reading at a time is in memory."""
    assert mean_by_sensor(valid(stream(season))).keys() == CALIBRATIONS.keys()


@pytest.mark.mem_budget(8)
def test_means_of_a_list(season: Path) -> None:
    """Over its budget, and meant to fail.

    It computes what the test above computes, but reads the whole file at once where it
    could stream. With `stream` in place of `load` it passes.
    """
    assert mean_by_sensor(valid(load(season))).keys() == CALIBRATIONS.keys()


@pytest.mark.mem_budget(80)
@pytest.mark.mem_budget(64, stage="load")
def test_pipeline_in_stages(season: Path, memguard: MemGuard) -> None:
    """Three stages of its own; the one within "load" is named in readings.py."""
    with memguard.stage("load"):
        readings = load(season)
    with memguard.stage("validate"):
        good = list(valid(readings))
    with memguard.stage("calibrate", budget="64 MiB"):
        values = list(calibrated(good, CALIBRATIONS))
    assert len(values) == ROWS - FAULTS


@pytest.fixture
def table() -> dict[str, array[float]]:
    """The value of every count of every sensor: five mebibytes."""
    return lookup_table(CALIBRATIONS)


@pytest.mark.mem_budget(2)
def test_table_agrees_with_the_formula(table: dict[str, array[float]]) -> None:
    """The call is within its budget; the report notes that setup is not."""
    reading = Reading(START, "sensor-03", 700)
    (result,) = calibrated([reading], CALIBRATIONS)
    assert table["sensor-03"][700] == result.value


@pytest.mark.mem_budget(2)
@pytest.mark.mem_budget(24, phase="setup")
def test_table_has_every_sensor(table: dict[str, array[float]]) -> None:
    """Setup has a budget of its own, so there is nothing to note."""
    assert table.keys() == CALIBRATIONS.keys()


@pytest.mark.mem_budget("768 KiB", metric="heap")
def test_packed_values_are_small(season: Path) -> None:
    """Every allocation counts: eight bytes a value fit, a list of floats would not."""
    assert len(packed(valid(stream(season)))) == ROWS - FAULTS


def half_a_kib_a_row(params: Mapping[str, int]) -> str:
    """A limit that grows with the test's parameter."""
    return f"{params['rows'] // 2} KiB"


@pytest.mark.parametrize("rows", [5_000, 15_000, ROWS])
@pytest.mark.mem_budget(limit=half_a_kib_a_row)
def test_memory_follows_the_number_of_rows(season: Path, rows: int) -> None:
    """Every parameter has a limit of its own."""
    assert len(list(islice(stream(season), rows))) == rows


def test_calibration_makes_no_list(season: Path, memguard: MemGuard) -> None:
    """An assertion of one's own, on a part of the test."""
    with memguard.measure() as measured:
        count = sum(1 for _ in calibrated(valid(stream(season)), CALIBRATIONS))
    assert count == ROWS - FAULTS
    assert measured.peak < "8 MiB"
