"""The values of how the level of resident memory rose in a run."""

from __future__ import annotations

from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelGrowth:
    """How far resident memory rose in a run, and what raised it and did not give it back."""

    start: int
    """Resident bytes before the first test, summed over processes."""
    end: int
    """Resident bytes after the last test, summed over processes."""
    tests: tuple[tuple[str, int], ...]
    """Node id and bytes of each test that raised the level by itself, the largest first."""
    setups: tuple[tuple[str, int], ...]
    """The same for the setups of tests, where fixtures of wider scope are made as well."""
    files: tuple[tuple[str, int], ...]
    """File and bytes of all its tests and their setups, the largest first."""
    between: int
    """Bytes that were raised between tests: by pytest, plugins and the teardown of fixtures."""
