"""Rows in the formats of other tools: benchmark services, spreadsheets, metrics systems."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pytest_memguard.escapes import csv_cell, tsv_cell
from pytest_memguard.model.metrics import RSS
from pytest_memguard.report.openmetrics import openmetrics
from pytest_memguard.report.rows import COLUMNS, Row
from pytest_memguard.sizes import MIB, format_size

BENCHER_NAME: Final = 1024
"""The longest name of a benchmark that Bencher accepts, in characters."""


def as_csv(rows: Sequence[Row]) -> str:
    """Return comma-separated values by RFC 4180, with a header and a line for each row."""
    lines = [COLUMNS, *([csv_cell(_plain(getattr(row, n))) for n in COLUMNS] for row in rows)]
    return "".join(",".join(cells) + "\r\n" for cells in lines)


def as_tsv(rows: Sequence[Row]) -> str:
    """Return tab-separated values with a header; tabs in names become escapes."""
    lines = [COLUMNS, *([tsv_cell(_plain(getattr(row, n))) for n in COLUMNS] for row in rows)]
    return "".join("\t".join(cells) + "\n" for cells in lines)


def as_json(rows: Sequence[Row]) -> str:
    """Return a JSON list of objects whose keys are the columns of the tables."""
    data = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    return json.dumps(data, indent=1) + "\n"


def _plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def github_action_benchmark(rows: Sequence[Row], floor: int = MIB) -> str:
    """Return what the action github-action-benchmark reads as ``customSmallerIsBetter``.

    Args:
        rows: the rows to write.
        floor: bytes; smaller peaks are written as this size. The action compares by the ratio,
            which would be infinite after a peak of 0.
    """
    several = _several(rows)
    entries = [_benchmark(row, floor, several=several) for row in rows]
    return json.dumps(entries, indent=1) + "\n"


def _benchmark(row: Row, floor: int, *, several: bool) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": _name(row, several=several)
        + ("" if row.metric == RSS.name else f" ({row.metric})"),
        "unit": "MiB",
        "value": round(max(row.peak_bytes, floor) / MIB, 3),
    }
    if row.spread_bytes:
        entry["range"] = f"± {row.spread_bytes / MIB:.3f}"
    elif row.upper_bound_bytes > max(row.peak_bytes, floor):
        entry["range"] = f"+ {(row.upper_bound_bytes - row.peak_bytes) / MIB:.3f}"
    extra = [f"metric: {row.metric}", f"environment: {row.environment}"]
    if row.peak_bytes < floor:
        extra.append(f"measured: {format_size(row.peak_bytes)}")
    if row.growth_bytes is not None:
        extra.append(f"left behind: {format_size(row.growth_bytes)}")
    return {**entry, "extra": "\n".join(extra)}


def bencher(rows: Sequence[Row]) -> str:
    """Return Bencher Metric Format: a measure for each metric, in bytes."""
    several = _several(rows)
    benchmarks: dict[str, dict[str, object]] = {}
    for row in rows:
        measures = benchmarks.setdefault(_short(_name(row, several=several)), {})
        bounds: dict[str, float] = {}
        if row.spread_bytes:
            bounds["lower_value"] = max(row.peak_bytes - row.spread_bytes, 0)
        if row.upper_bound_bytes > row.peak_bytes:
            bounds["upper_value"] = row.upper_bound_bytes
        measures[f"peak-{row.metric}"] = {"value": row.peak_bytes, **bounds}
        if row.growth_bytes is not None:
            measures["memory-growth"] = {"value": row.growth_bytes}
        if row.leak_bytes_per_call is not None:
            measures["leak-per-call"] = {"value": row.leak_bytes_per_call}
    return json.dumps(benchmarks, indent=1) + "\n"


def _several(rows: Sequence[Row]) -> bool:
    return len({row.environment for row in rows}) > 1


def _name(row: Row, *, several: bool) -> str:
    """Return the name of a test, with its environment if the file has several environments."""
    return f"{row.test} [{row.environment}]" if several else row.test


def _short(name: str) -> str:
    """Return a name that Bencher accepts and that no other test has."""
    if len(name) <= BENCHER_NAME:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{name[: BENCHER_NAME - len(mark) - 1]}~{mark}"


FORMATS: Final[Mapping[str, Callable[..., str]]] = {
    "github-action-benchmark": github_action_benchmark,
    "bencher": bencher,
    "tsv": as_tsv,
    "csv": as_csv,
    "openmetrics": openmetrics,
}
"""Every format by its name on the command line."""
