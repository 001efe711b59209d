"""The frozen values of the regression check: baseline entries, rules and changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from pytest_memguard.model.metrics import RSS
from pytest_memguard.values import dataclass

RuleKind = Literal["peak", "growth", "stage", "leak"]
ChangeKind = Literal["same", "regression", "improvement", "new", "gone", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailRule:
    """How much more than the baseline value is too much.

    If a rule has a share and a floor, both must be exceeded.
    """

    kind: RuleKind
    """What is compared."""
    share: float = 0.0
    """Share of the baseline value; 0.1 is 10 %."""
    floor: int = 0
    """Bytes (for a leak: bytes per call)."""
    stage: str = ""
    """The stage that the rule is about; empty for rules that are not about stages."""
    where: str = "the default"
    """Who set it, for messages."""
    text: str = ""
    """The rule as it was written: ``peak:10%+2MB``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentKey:
    """What numbers must have in common to be compared: environment and metric."""

    system: str
    """Operating system: Linux."""
    machine: str
    """Architecture: x86_64."""
    implementation: str
    """CPython, PyPy."""
    python: str
    """Major and minor version: 3.11."""
    metric: str = RSS.name
    """What was counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntry:
    """The numbers of one stage of a test."""

    path: str
    """Its name after the names of its parents: ``load/parse``."""
    peak: int
    """Peak in bytes."""
    delta: int
    """Bytes that the stage added."""
    ceiling: int = 0
    """Upper bound of the peak in bytes; 0 if the peak is exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEntry:
    """What a source line held at the peak; its number is for display and is not compared."""

    file: str
    """Path, relative to the root if it is inside."""
    function: str
    """The function of the line."""
    line: int
    """Line number, from 1."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What the first call in a process fills for good: a cache, a table, a registry."""

    holder: str
    """What holds it: ``data.table``."""
    size: int
    """Bytes of its Python objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """The numbers of one test in one environment, in a baseline or in one run."""

    peak: int
    """Peak of the call in bytes; the highest of the latest readings."""
    growth: int
    """Resident bytes that the test left behind."""
    ceiling: int = 0
    """Upper bound of the peak in bytes; 0 if the peak is exact."""
    spread: int = 0
    """Difference of the highest and the lowest of the latest readings, in bytes."""
    readings: int = 1
    """Number of readings that the entry rests on."""
    stages: tuple[StageEntry, ...] = ()
    """The stages, in the order in which they were first entered."""
    lines: tuple[LineEntry, ...] = ()
    """The largest lines, if they are known."""
    leak: float | None = None
    """Bytes a call leaves behind; ``None`` if it was not checked for leaks."""
    imports: int = 0
    """Number of modules that the call imported for the first time: its peak includes their
    memory."""
    cold: int = 0
    """Peak of the first call in a process, in bytes, where it is higher than that of later ones
    because it fills something for good; 0 if it is not, or was not measured."""
    fills: tuple[Fill, ...] = ()
    """What that call fills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineValue:
    """The baseline value and the rule that a limit was made from."""

    before: int
    """The baseline value in bytes; if the peak is not exact, its upper bound."""
    low: int | None = None
    """The measured peak in bytes, if it is not exact; otherwise ``None``."""
    rule: FailRule
    """The rule."""
    imports: int = 0
    """Number of modules that the call had imported for the first time."""
    cold: int = 0
    """The cold peak on record in bytes, if the value is a peak and differs from it."""
    fills: tuple[Fill, ...] = ()
    """What the first call fills on record, if there is a cold peak."""
    is_filled: bool = False
    """Whether a test that has run in this process fills some of that on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Every stored number, by environment and node id."""

    environments: Mapping[EnvironmentKey, Mapping[str, BaselineEntry]] = field(
        default_factory=dict
    )
    """The entries of each environment, by node id."""
    measured_cold: frozenset[EnvironmentKey] = frozenset()
    """The environments in which every notable test was measured cold when it was saved."""
    loaded: Mapping[EnvironmentKey, frozenset[str]] = field(default_factory=dict)
    """Libraries that were loaded when the tests were saved, by environment, where they are
    known."""
    filled: Mapping[EnvironmentKey, tuple[Fill, ...]] = field(default_factory=dict)
    """What tests fill together, each too little to be on record by itself, by environment."""
    measured_together: frozenset[EnvironmentKey] = frozenset()
    """The environments in which that was measured for all tests that left something behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The result of comparing one number of a test."""

    kind: ChangeKind
    """The result."""
    nodeid: str
    """The test."""
    environment: EnvironmentKey
    """The environment, and the metric."""
    subject: RuleKind = "peak"
    """The number that was compared."""
    stage: str = ""
    """The stage, if the number is that of a stage."""
    before: int = 0
    """Baseline value in bytes; for a leak, bytes per call."""
    now: int = 0
    """The new number."""
    allowed: int = 0
    """The highest number that rule and noise allow."""
    rule: FailRule | None = None
    """The rule that was applied."""
    text: str = ""
    """The whole sentence."""
    lines: tuple[tuple[LineEntry | None, LineEntry], ...] = ()
    """Lines that grew, before and now; the largest growth first."""
