"""Memory budgets and leak checks for pytest: what test code and other code may import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memguard.errors import (
        BudgetExceeded,
        CheckFailed,
        ConfigError,
        LeakDetected,
        LeakUndecided,
        MemoryBudgetWarning,
        MemoryRegression,
        TestDied,
        Unmeasurable,
        WrongNeed,
    )
    from pytest_memguard.extension import (
        Check,
        Marker,
        Reading,
        Readings,
        Renderer,
        TestInfo,
        Violation,
    )
    from pytest_memguard.measure.stages import stage
    from pytest_memguard.model.leaks import Verdict
    from pytest_memguard.model.metrics import Metric
    from pytest_memguard.model.results import Run
    from pytest_memguard.plugin.fixture import MemGuard
    from pytest_memguard.plugin.measured_block import Measure
    from pytest_memguard.probes import Probe
    from pytest_memguard.probes.process import Snapshot
    from pytest_memguard.recording.check import check_leaks
    from pytest_memguard.recording.watch import Recording, watch
    from pytest_memguard.units import Size
    from pytest_memguard.watch_levels import Levels
    from pytest_memguard.watches import WatchGrowth

__all__ = [
    "BudgetExceeded",
    "Check",
    "CheckFailed",
    "ConfigError",
    "LeakDetected",
    "LeakUndecided",
    "Levels",
    "Marker",
    "Measure",
    "MemGuard",
    "MemoryBudgetWarning",
    "MemoryRegression",
    "Metric",
    "Probe",
    "Reading",
    "Readings",
    "Recording",
    "Renderer",
    "Run",
    "Size",
    "Snapshot",
    "TestDied",
    "TestInfo",
    "Unmeasurable",
    "Verdict",
    "Violation",
    "WatchGrowth",
    "WrongNeed",
    "check_leaks",
    "stage",
    "watch",
]

_HOMES = {
    "BudgetExceeded": "errors",
    "Check": "extension",
    "CheckFailed": "errors",
    "ConfigError": "errors",
    "LeakDetected": "errors",
    "LeakUndecided": "errors",
    "Levels": "watch_levels",
    "Marker": "extension",
    "Measure": "plugin.measured_block",
    "MemGuard": "plugin.fixture",
    "MemoryBudgetWarning": "errors",
    "MemoryRegression": "errors",
    "Metric": "model.metrics",
    "Probe": "probes",
    "Reading": "extension",
    "Readings": "extension",
    "Recording": "recording.watch",
    "Renderer": "extension",
    "Run": "model.results",
    "Size": "units",
    "Snapshot": "probes.process",
    "TestDied": "errors",
    "TestInfo": "extension",
    "Unmeasurable": "errors",
    "Verdict": "model.leaks",
    "Violation": "extension",
    "WatchGrowth": "watches",
    "WrongNeed": "errors",
    "check_leaks": "recording.check",
    "stage": "measure.stages",
    "watch": "recording.watch",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: pytest imports us in every run."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-memguard")
    if name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
