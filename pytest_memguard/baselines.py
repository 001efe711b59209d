"""The frozen values of the regression check: what was, what is, and what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from pytest_memguard.metrics import RSS
from pytest_memguard.values import dataclass

RuleKind = Literal["peak", "growth", "stage", "leak"]
ChangeKind = Literal["same", "regression", "improvement", "new", "gone", "unsure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailRule:
    """How much worse is too much: by its share and by its floor, both must be exceeded."""

    kind: RuleKind
    """What is compared."""
    share: float = 0.0
    """Share of the old value; 0.1 is 10 %."""
    floor: int = 0
    """Bytes (for a leak: bytes per call)."""
    stage: str = ""
    """The stage, for rules on one."""
    where: str = "the default"
    """Who set it, for the message."""
    text: str = ""
    """As it was written: ``peak:10%+2MB``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentKey:
    """Where numbers can be compared: one environment and one metric."""

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
    """One stage of a test."""

    path: str
    """Its name, with its parents' names before it."""
    peak: int
    """Bytes."""
    delta: int
    """Bytes it added."""
    ceiling: int = 0
    """Bytes the peak cannot exceed where it is not exact; 0 where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEntry:
    """What a source line held at the peak; the line number is for people, not for comparing."""

    file: str
    """Path relative to the root where it lies in it."""
    function: str
    """Function the line is in."""
    line: int
    """Line number, from 1."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """The numbers of one test in one environment: a baseline's, or those of one run."""

    peak: int
    """Bytes, of the call; the highest of the last readings."""
    growth: int
    """Resident bytes the test left behind."""
    ceiling: int = 0
    """Bytes the peak cannot exceed where it is not exact; 0 where it is."""
    spread: int = 0
    """Bytes between the lowest and the highest of the last readings of the peak."""
    readings: int = 1
    """How many readings it rests on."""
    stages: tuple[StageEntry, ...] = ()
    """Its stages, in the order they were first entered."""
    lines: tuple[LineEntry, ...] = ()
    """The largest lines, where they are known."""
    leak: float | None = None
    """Bytes a call leaves behind; ``None`` if it was not checked for leaks."""
    imports: int = 0
    """Modules that were loaded for the first time during the call: its peak has their part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineValue:
    """What a limit of the regression check was made of."""

    before: int
    """Bytes on record; with an inexact peak those it cannot exceed."""
    low: int | None = None
    """With an inexact peak, those it was measured to be at least."""
    rule: FailRule
    """The rule that says how much more is too much."""
    imports: int = 0
    """Modules that were loaded for the first time in the call on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Every stored number, by environment and node id."""

    environments: Mapping[EnvironmentKey, Mapping[str, BaselineEntry]] = field(
        default_factory=dict
    )
    """Entries by node id, environment by environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a comparison says of one test, or of one part of it."""

    kind: ChangeKind
    """The answer."""
    nodeid: str
    """The test."""
    environment: EnvironmentKey
    """Where."""
    subject: RuleKind = "peak"
    """What was compared."""
    stage: str = ""
    """Which stage, if it was one."""
    before: int = 0
    """Bytes (per call, for a leak) on record."""
    now: int = 0
    """Bytes now."""
    allowed: int = 0
    """Bytes up to which rule and noise let it pass."""
    rule: FailRule | None = None
    """The rule that decided."""
    text: str = ""
    """The whole sentence."""
    lines: tuple[tuple[LineEntry | None, LineEntry], ...] = ()
    """Lines that grew, before and now; the largest growth first."""
