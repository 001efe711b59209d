"""Baselines of many tests, for processes that have no time to import pytest."""

from __future__ import annotations

from pathlib import Path

from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.sizes import KIB

ROOT = Path(__file__).parents[2]
PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.11"
)


def baseline_of(number: int, tests: int = 500) -> Baseline:
    """Many tests with one number of imports, so that half of one file in another shows."""
    entries = {
        f"tests/test_it.py::test_{n:05}": BaselineEntry(peak=n * KIB, growth=0, imports=number)
        for n in range(tests)
    }
    return Baseline(environments={PLACE: entries})
