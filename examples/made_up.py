"""Writes a file of made-up readings, the same one every time."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

from readings import COLUMNS, FAULT_CODE, Calibration

ROWS = 30_000
FAULTS = 30
START = datetime(2026, 3, 1, tzinfo=UTC)
CALIBRATIONS = {
    f"sensor-{number:02}": Calibration(gain=0.0025, offset=-40.0 + number / 10)
    for number in range(10)
}


def write_readings(path: Path) -> None:
    """Write ROWS readings, FAULTS of them fault codes, the sensors taking turns."""
    sensors = list(CALIBRATIONS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(ROWS):
            time = START + timedelta(seconds=5 * number)
            sensor = sensors[number % len(sensors)]
            fault = number % (ROWS // FAULTS) == 0
            counts = FAULT_CODE if fault else number * 977 % 50_000
            writer.writerow((time.isoformat(), "north-ridge", sensor, counts))
