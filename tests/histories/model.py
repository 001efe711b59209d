"""The values of a history: operations, tests, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a test does."""

    name: str
    """A function of the module `operations`."""
    arguments: tuple[Any, ...] = ()
    """What it is called with."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Fixture:
    """A fixture whose value is memory."""

    scope: str
    """function, class or module."""
    kind: str
    """Of the memory."""
    size: int
    """MiB."""
    holder: str
    """What holds it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a history."""

    operations: tuple[Operation, ...] = ()
    """What its call does."""
    factor: float | None = None
    """Its limit as a multiple of what it uses alone; no marker if ``None``."""
    place: str = "same"
    """"class" or "module" if it is the first test of a new one."""
    fixture: Fixture | None = None
    """What it requests."""

    @property
    def essence(self) -> tuple[Any, ...]:
        """All that what it uses alone depends on."""
        operations = tuple((step.name, step.arguments) for step in self.operations)
        return self.fixture, operations


@dataclass(frozen=True, slots=True)
class History:
    """Tests in the order in which one process runs them."""

    cases: tuple[Case, ...]
    """The tests."""
    seconds: int = 0
    """Time that each of them seems to take beyond what it takes."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a test uses alone in a fresh process."""

    low: int
    """Bytes at least: its own garbage is freed, and free memory returned, at once."""
    high: int
    """Bytes at most: its own garbage is freed only where it asks for a full collection."""
    retaining: int | None = None
    """The same, if nothing that is freed is returned; ``None`` if that has not been asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What pytest and the plugin say of one test."""

    result: str
    """passed or failed."""
    exceeded: bool = False
    """Whether it failed with BudgetExceeded."""
    lines: tuple[str, ...] = ()
    """What the section "memory" says of it."""
    peak: int | None = None
    """Bytes, from the property that JUnit files have."""
