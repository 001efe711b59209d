"""How large the suites are and how often they run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Numbers of tests and of rounds."""

    tests: int
    """Tests of the suites that overhead is measured on."""
    many: int
    """Tests of the large suite that memory is measured on."""
    most: int
    """Tests of the suite that every report is written of."""
    few: int
    """Tests of the small one that both are compared with."""
    repeats: int
    """How often the work of the slow test is repeated within it."""
    pairs: int
    """Pairs of tests that allocate within one process."""
    startup_rounds: int
    """Rounds of one-test suites."""
    rounds: int
    """Rounds of the other suites."""
    long_rounds: int
    """Rounds where one takes the better part of a minute."""
    longest_rounds: int
    """Rounds where one takes several minutes."""


FULL = Scale(
    tests=2_000,
    many=20_000,
    most=50_000,
    few=2_000,
    repeats=30,
    pairs=60,
    startup_rounds=40,
    rounds=15,
    long_rounds=5,
    longest_rounds=2,
)
QUICK = Scale(
    tests=80,
    many=400,
    most=800,
    few=80,
    repeats=1,
    pairs=2,
    startup_rounds=3,
    rounds=2,
    long_rounds=2,
    longest_rounds=1,
)
