"""Readings of a set of sensors: read from a CSV file, validated and calibrated."""

from __future__ import annotations

import csv
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pytest_memguard import stage

COLUMNS = ("time", "station", "sensor", "counts")
FAULT_CODE = 65_535
"""The highest number of a 16-bit converter; below it are counts."""


class Reading(NamedTuple):
    """What one sensor said at one moment."""

    time: datetime
    sensor: str
    value: float


class Calibration(NamedTuple):
    """How the raw counts of one sensor become a physical value."""

    gain: float
    offset: float


def parse(row: Sequence[str]) -> Reading:
    """Make a reading of a row of text.

    Raises:
        ValueError: if the row has another number of columns, or one makes no sense.
    """
    time, _, sensor, counts = row
    return Reading(datetime.fromisoformat(time), sensor, float(counts))


def stream(path: Path) -> Iterator[Reading]:
    """Read a file one reading at a time: memory does not grow with the file."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        yield from map(parse, rows)


def load(path: Path) -> list[Reading]:
    """Read a file at once: every row as text first, then every row as a reading."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    with stage("parse"):
        return [parse(row) for row in rows]


def valid(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Leave out the readings of sensors that reported a fault."""
    return (reading for reading in readings if 0 <= reading.value < FAULT_CODE)


def calibrated(
    readings: Iterable[Reading], calibrations: Mapping[str, Calibration]
) -> Iterator[Reading]:
    """Turn counts into physical values.

    Raises:
        KeyError: if nobody has calibrated a sensor.
    """
    for reading in readings:
        gain, offset = calibrations[reading.sensor]
        yield reading._replace(value=gain * reading.value + offset)


def lookup_table(calibrations: Mapping[str, Calibration]) -> dict[str, array[float]]:
    """The physical value of every count of every sensor: half a mebibyte a sensor."""
    return {
        sensor: array("d", (gain * count + offset for count in range(FAULT_CODE)))
        for sensor, (gain, offset) in calibrations.items()
    }


def packed(readings: Iterable[Reading]) -> array[float]:
    """Keep the values alone, in eight bytes each."""
    return array("d", (reading.value for reading in readings))


def mean_by_sensor(readings: Iterable[Reading]) -> dict[str, float]:
    """The mean value of every sensor."""
    sums: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)
    for reading in readings:
        sums[reading.sensor] += reading.value
        counts[reading.sensor] += 1
    return {sensor: sums[sensor] / counts[sensor] for sensor in sums}
