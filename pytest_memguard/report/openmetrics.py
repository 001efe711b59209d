"""Rows as OpenMetrics text 1.0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pytest_memguard.escapes import label_value
from pytest_memguard.report.rows import Row

_FAMILIES: Final[tuple[tuple[str, str, str, Callable[[Row], float | None]], ...]] = (
    (
        "memguard_test_peak_bytes",
        "bytes",
        "Peak memory of the test above the level at its start.",
        lambda row: row.peak_bytes,
    ),
    (
        "memguard_test_peak_limit_bytes",
        "bytes",
        "What the peak cannot exceed, where it is not exact.",
        lambda row: row.upper_bound_bytes,
    ),
    (
        "memguard_test_spread_bytes",
        "bytes",
        "Between the lowest and the highest reading of the peak.",
        lambda row: row.spread_bytes,
    ),
    (
        "memguard_test_growth_bytes",
        "bytes",
        "Resident memory that the test left behind.",
        lambda row: row.growth_bytes,
    ),
    (
        "memguard_test_budget_bytes",
        "bytes",
        "Tightest limit on the whole call.",
        lambda row: row.budget_bytes,
    ),
    (
        "memguard_test_duration_seconds",
        "seconds",
        "Duration of what was measured.",
        lambda row: row.seconds,
    ),
    (
        "memguard_test_findings",
        "",
        "Limits that were broken or could not be checked.",
        lambda row: row.findings if row.result else None,
    ),
    (
        "memguard_test_leak_per_call_bytes",
        "bytes",
        "What a call leaves behind, where it was checked for leaks.",
        lambda row: row.leak_bytes_per_call,
    ),
)
_LABELS: Final = ("test", "metric", "system", "machine", "implementation", "python")


def openmetrics(rows: Sequence[Row]) -> str:
    """Return the whole text; each family is a gauge, with samples of the rows that know it."""
    lines = []
    for name, unit, meaning, value in _FAMILIES:
        samples = [(row, number) for row in rows if (number := value(row)) is not None]
        if not samples:
            continue
        lines.append(f"# TYPE {name} gauge")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {meaning}")
        lines += [f"{name}{{{_labels(row)}}} {number}" for row, number in samples]
    return "\n".join([*lines, "# EOF", ""])


def _labels(row: Row) -> str:
    pairs = ((name, str(getattr(row, name))) for name in _LABELS)
    return ",".join(f'{name}="{label_value(value)}"' for name, value in pairs if value)
