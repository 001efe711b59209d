"""Memory budgets and leak checks for pytest: what test code and other code may import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memguard.errors import (
        BudgetExceeded,
        ConfigError,
        LeakDetected,
        LeakUnclear,
        MemoryBudgetWarning,
        MemoryRegression,
        Unmeasurable,
    )
    from pytest_memguard.leaks import Verdict
    from pytest_memguard.plugin.fixture import Measure, MemGuard
    from pytest_memguard.probes.process import Snapshot
    from pytest_memguard.recording.check import check_leaks
    from pytest_memguard.recording.stages import stage
    from pytest_memguard.units import Size

__all__ = [
    "BudgetExceeded",
    "ConfigError",
    "LeakDetected",
    "LeakUnclear",
    "Measure",
    "MemGuard",
    "MemoryBudgetWarning",
    "MemoryRegression",
    "Size",
    "Snapshot",
    "Unmeasurable",
    "Verdict",
    "check_leaks",
    "stage",
]

_HOMES = {
    "BudgetExceeded": "errors",
    "ConfigError": "errors",
    "LeakDetected": "errors",
    "LeakUnclear": "errors",
    "Measure": "plugin.fixture",
    "MemGuard": "plugin.fixture",
    "MemoryBudgetWarning": "errors",
    "MemoryRegression": "errors",
    "Size": "units",
    "Snapshot": "probes.process",
    "Unmeasurable": "errors",
    "Verdict": "leaks",
    "check_leaks": "recording.check",
    "stage": "recording.stages",
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
