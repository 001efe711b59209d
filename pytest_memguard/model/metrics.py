"""The metrics: what each of them counts, in which unit and with which resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from pytest_memguard.sizes import KIB, MIB, format_size, format_sizes
from pytest_memguard.values import dataclass

BYTES: Final = "bytes"
_STEP: Final = KIB
"""Peaks that are counted to the byte are rounded to at least so many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One quantity that tests use.

    A plugin with a probe of its own describes here what the probe counts.
    """

    name: str
    """The name in markers: ``mem_budget(5, metric="descriptors")``."""
    noun: str
    """The name of its peak in sentences: "peak RSS"."""
    meaning: str = ""
    """What is counted, for headers and documentation."""
    unit: str = BYTES
    """``bytes``, or the plural of what is counted: "open files"."""
    resolution: int = 0
    """By how much two readings of the same level may differ because of the instrument."""
    is_resident: bool = False
    """Whether it is resident memory of the process, which slack inside the process distorts."""
    is_traced: bool = False
    """Whether measuring it requires tracking every allocation."""
    has_lines: bool = False
    """Whether allocation lines explain it."""
    by_thread: bool = False
    """Whether a budget may be on the test's own thread alone."""
    includes_resident: bool = False
    """Whether resident memory of the process is a part of it, which slack distorts, too."""

    @property
    def is_memory(self) -> bool:
        """Whether it counts bytes."""
        return self.unit == BYTES

    @property
    def step(self) -> int:
        """What peaks are rounded to at least before they are stored."""
        if not self.is_memory:
            return 1
        return max(_STEP, self.resolution // 4)

    def amount(self, value: float) -> str:
        """Return a number with its unit: "12.0 MiB", "5 open files"."""
        return format_size(value) if self.is_memory else f"{value:,.0f} {self.unit}"

    def amounts(self, *values: float, visible: Iterable[float] = ()) -> list[str]:
        """Return numbers that one sentence compares, in the same unit.

        Args:
            values: the numbers.
            visible: those that must not be rounded to nothing; all of them if it is empty.
        """
        if self.is_memory:
            return format_sizes(*values, visible=visible)
        return list(map(self.amount, values))

    def tolerance(self, limit: int) -> int:
        """Return how far the resolution alone may put a peak above a limit, if that matters."""
        return self.resolution if limit < 4 * self.resolution else 0


RSS: Final = Metric(
    name="rss",
    noun="peak RSS",
    meaning="rise of resident memory above its level at the start",
    resolution=256 * KIB,
    is_resident=True,
    has_lines=True,
)
HEAP: Final = Metric(
    name="heap",
    noun="peak heap",
    meaning="bytes requested from the allocators at their high-water mark",
    is_traced=True,
    has_lines=True,
    by_thread=True,
)
PYTHON: Final = Metric(
    name="python",
    noun="peak Python memory",
    meaning="bytes of Python objects at their high-water mark",
    has_lines=True,
)
TREE: Final = Metric(
    name="tree",
    noun="peak memory of the process tree",
    meaning="memory of the process and its descendants, what they share counted once",
    resolution=MIB,
    includes_resident=True,
)
CHILDREN: Final = Metric(
    name="children",
    noun="peak memory of descendants",
    meaning="memory of the descendants, without what they share with the process",
    resolution=MIB,
)
"""What descendants use; reported beside other metrics, and never limited."""

_UNITS: Final[dict[str, str]] = {}
"""Units of metrics that only stored files have, by name."""

METRICS: Final[dict[str, Metric]] = {
    metric.name: metric for metric in (RSS, HEAP, PYTHON, TREE)
}
"""The metrics that can be measured here, by name; plugins add theirs while a run lasts."""
OWN: Final = frozenset(METRICS)
"""Metrics that a forked child measures of itself; a probe of a plugin may measure another."""


def metric_named(name: str) -> Metric:
    """Return a metric by its name; one that only a stored file has gets a plain noun."""
    known = METRICS.get(name)
    if name == CHILDREN.name:
        return CHILDREN
    if known is None:
        return Metric(name=name, noun=f"peak of {name}", unit=_UNITS.get(name, BYTES))
    return known


def units() -> dict[str, str]:
    """Return the units of the metrics that do not count bytes, by name, for stored files."""
    return {m.name: m.unit for m in METRICS.values() if not m.is_memory}


def remember_unit(name: str, unit: str) -> None:
    """Remember the unit of a metric in a stored file.

    Args:
        name: the metric, which may not be measured here.
        unit: what it counts.
    """
    _UNITS[name] = unit


def add_metric(metric: Metric) -> Callable[[], None]:
    """Add a metric, and return a function that removes it.

    Args:
        metric: its name must be unique.
    """
    METRICS[metric.name] = metric

    def remove() -> None:
        METRICS.pop(metric.name, None)

    return remove
