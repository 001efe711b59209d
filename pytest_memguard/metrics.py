"""The metrics there are: what each of them counts, in which unit, and how finely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_memguard.sizes import KIB, format_size
from pytest_memguard.values import dataclass

BYTES: Final = "bytes"
_STEP: Final = KIB
"""Bytes that peaks are rounded to at least, where they are counted to the byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One way to count what a test uses.

    A plugin that measures with a probe of its own describes here what the probe counts.
    """

    name: str
    """What a marker calls it: ``mem_budget(5, metric="descriptors")``."""
    noun: str
    """What a sentence calls its peak: "peak RSS"."""
    meaning: str = ""
    """What is counted, for headers and docs."""
    unit: str = BYTES
    """``bytes``, or what is counted one by one, in the plural: "open files"."""
    resolution: int = 0
    """By how much two readings of the same may differ, because of the instrument alone."""
    is_resident: bool = False
    """Whether it is the level of the whole process, which free memory inside of it distorts."""
    is_traced: bool = False
    """Whether it is known only from following every allocation."""
    has_lines: bool = False
    """Whether lines that allocate memory of the process explain it."""
    by_thread: bool = False
    """Whether a budget can be on the test's own thread alone."""

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
        """A number of it in words: "12.0 MiB", "5 open files"."""
        return format_size(value) if self.is_memory else f"{value:,.0f} {self.unit}"

    def tolerance(self, limit: int) -> int:
        """How far above a limit the instrument's resolution explains, where it matters."""
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

_UNITS: Final[dict[str, str]] = {}
"""Units of metrics that are only known from stored files."""

METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in (RSS, HEAP, PYTHON)}
"""Those that can be measured here, by name; plugins add theirs for the time of a run."""


def metric_named(name: str) -> Metric:
    """A metric by its name; one that is only known from a stored file gets a plain noun."""
    known = METRICS.get(name)
    if known is None:
        return Metric(name=name, noun=f"peak of {name}", unit=_UNITS.get(name, BYTES))
    return known


def units() -> dict[str, str]:
    """Units of the metrics that do not count bytes, by name: what stored files tell."""
    return {m.name: m.unit for m in METRICS.values() if not m.is_memory}


def remember_unit(name: str, unit: str) -> None:
    """Take the unit of a metric from a stored file.

    Args:
        name: of the metric, which may not be measured here.
        unit: what it counts.
    """
    _UNITS[name] = unit


def add_metric(metric: Metric) -> Callable[[], None]:
    """Make a metric known, and return what takes it back.

    Args:
        metric: of a name that no other has.
    """
    METRICS[metric.name] = metric

    def remove() -> None:
        METRICS.pop(metric.name, None)

    return remove
