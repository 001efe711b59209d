"""The values of suggested budgets."""

from __future__ import annotations

from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one test has used at most."""

    nodeid: str
    """The test."""
    high: int
    """Upper bound of its peak, in bytes."""
    hidden: int = 0
    """How far the upper bound is above what was surely used, in bytes."""
    budget: int | None = None
    """Its budget in that run, in bytes, if it had one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A budget for all tests that a pattern covers."""

    pattern: str
    """As ``mem_budgets`` takes it; ``**`` for all tests."""
    budget: int
    """In bytes, a whole number of MiB."""
    tests: int
    """How many tests it is for."""
    high: int
    """Upper bound of their peaks, in bytes."""
