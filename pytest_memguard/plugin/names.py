"""Which of our markers, fixture and stages a suite has; loaded in every run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

REGRESSION_MARKER: Final = "mem_regression"
LEAK_MARKERS: Final = frozenset({"mem_leak_check", "mem_no_leak_check"})
STAGES_MODULE: Final = "pytest_memguard.recording.stages"
_MARKERS: Final = {"mem_budget", REGRESSION_MARKER} | LEAK_MARKERS


def names_in_use(items: list[pytest.Item]) -> set[str]:
    """Which of our markers, fixture and stages a suite uses; every node is looked at once.

    Code that has loaded `pytest_memguard.stage` may have budgets on its stages.
    """
    found: set[str] = set()
    ours = sys.modules["pytest_memguard"]
    if "stage" in vars(ours) or any(
        vars(module).get("pytest_memguard") is ours
        for module in list(sys.modules.values())
        if type(module) is ModuleType  # others may load what they stand for
    ):
        found.add("stage")
    seen: set[int] = set()
    for item in items:
        if "memguard" in getattr(item, "fixturenames", ()):
            found.add("memguard")
        node: pytest.Item | pytest.Collector | None = item
        while node is not None and id(node) not in seen:
            found.update(mark.name for mark in node.own_markers if mark.name in _MARKERS)
            if node is not item:
                seen.add(id(node))
            node = node.parent
    return found
