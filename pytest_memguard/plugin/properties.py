"""Properties of tests with their memory, for other plugins and JUnit files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.model.metrics import METRICS, Metric, metric_named

if TYPE_CHECKING:
    from pytest_memguard.model.measurements import PhaseReading

PEAK: Final = "memguard_peak_bytes"
DELTA: Final = "memguard_delta_bytes"
LIMIT: Final = "memguard_budget_bytes"
NEED: Final = "memguard_need_bytes"
WAITED: Final = "memguard_waited_seconds"
"""Of tests that were large enough to ask for memory."""


def set_properties(
    item: pytest.Item,
    numbers: tuple[int, int] | None,
    limit: int | None,
    phases: Sequence[PhaseReading],
) -> None:
    """Store what was measured in place of what an earlier run of the same test has stored.

    Args:
        item: the test.
        numbers: bytes of resident memory at its highest, above the level at the start, and
            bytes that stayed; ``None`` where they are not known.
        limit: bytes of its budget, if it has one.
        phases: by other metrics as well, if it was measured by any.
    """
    properties = item.user_properties
    if properties:
        forget_ours(properties)
    found = (
        [] if numbers is None else [_property(PEAK, numbers[0]), _property(DELTA, numbers[1])]
    )
    if limit is not None:
        found.append(_property(LIMIT, limit))
    if phases:
        found += _other_peaks(phases)
    properties += tuple(found)  # a list that grows step by step takes more than it needs


class LimitProperties(dict["int | None", tuple[str, "int | None"]]):
    """The property with a test's budget, by the budget: tests with the same share it."""

    def __missing__(self, limit: int | None) -> tuple[str, int | None]:
        """Make the property of a budget that no test has had."""
        made = self[limit] = (LIMIT, limit)
        return made


def names() -> set[str]:
    """The names of all properties that are ours."""
    return {PEAK, DELTA, LIMIT, *map(peak_property, METRICS.values())}


def peak_property(metric: Metric) -> str:
    """The name that a metric's peak has among the properties of a test."""
    if metric.is_resident:
        return PEAK
    unit = "_bytes" if metric.is_memory else ""
    return f"memguard_{metric.name}_peak{unit}"


@lru_cache(maxsize=1024)
def _property(name: str, value: int) -> tuple[str, int]:
    """A property that tests with the same number share: item and reports keep them."""
    return name, value


def forget_ours(properties: list[tuple[str, Any]]) -> None:
    """Take out what an earlier run of the same test has stored.

    Args:
        properties: pytest's list.
    """
    ours = names()
    properties[:] = [named for named in properties if named[0] not in ours]


def _other_peaks(phases: Sequence[PhaseReading]) -> list[tuple[str, int]]:
    """Properties with the call's peaks (or setup's, without a call) by other metrics."""
    by_name = {phase.name: phase for phase in phases}
    main = by_name.get("call", by_name.get("setup"))
    peaks = main.peaks if main is not None else ()
    metrics = [metric_named(peak.metric) for peak in peaks]
    return [
        (peak_property(metric), peak.value)
        for metric, peak in zip(metrics, peaks, strict=True)
        if not metric.is_resident
    ]
