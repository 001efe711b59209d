"""Which of our markers, fixture and stages a suite has; loaded in every run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

REGRESSION_MARKER: Final = "mem_regression"
NEEDS_MARKER: Final = "mem_needs"
LEAK_MARKERS: Final = frozenset({"mem_leak_check", "mem_no_leak_check"})
STAGES_MODULE: Final = "pytest_memguard.measure.stages"
LATE_MARKERS: Final = "memguard_late_markers"
"""Name under which an xdist worker reports markers that came while its tests ran."""
ISOLATE_MARKER: Final = "mem_isolate"
ONCE_MARKER: Final = "mem_once"
MUST_NOT_RUN_AGAIN: Final = f"it must not run twice ({ONCE_MARKER})"
MARKER_LINES: Final = (
    (
        "mem_budget(limit, *, metric='rss', phase='call', stage=None, warn=None, "
        "threads='all', hard=None): fail the test when its peak memory rises above the limit; "
        "a bare number is MiB (pytest-memguard)"
    ),
    (
        "mem_leak_check(calls=None, warmup=None, tolerance=0, ignore=(), resources=True): "
        "repeat the test in every run and fail it if it leaks (pytest-memguard)"
    ),
    "mem_no_leak_check(reason): leave the test out of --mem-leak-check (pytest-memguard)",
    (
        "mem_regression(RULE, ...): what --mem-compare lets this test grow by, as "
        "'peak:10%+2MB'; None switches it off (pytest-memguard)"
    ),
    (
        "mem_isolate(limit=None, timeout=None): run the test in a process of its own, and "
        "stop it above so much memory or after so many seconds (pytest-memguard)"
    ),
    (
        "mem_needs(size): skip the test where the container or machine has less memory, let "
        "it wait for as much under --mem-parallel, and fail it if it uses far more or far "
        "less (pytest-memguard)"
    ),
    (
        "mem_once: never run the test a second time to measure it again or to look for leaks "
        "(pytest-memguard)"
    ),
)
"""Our markers as pytest lists them."""
_MARKERS: Final = {
    "mem_budget",
    NEEDS_MARKER,
    REGRESSION_MARKER,
    ISOLATE_MARKER,
    ONCE_MARKER,
} | LEAK_MARKERS


def names_in_use(items: list[pytest.Item]) -> set[str]:
    """Which of our markers, fixture and stages a suite uses; every node is read once.

    Code that has loaded `pytest_memguard.stage` may have budgets on its stages.
    """
    found: set[str] = set()
    ours, modules = sys.modules["pytest_memguard"], list(sys.modules.values())
    # modules of other types may load what they stand for
    with_name = [
        m for m in modules if type(m) is ModuleType and "pytest_memguard" in m.__dict__
    ]
    if "stage" in vars(ours) or any(m.__dict__["pytest_memguard"] is ours for m in with_name):
        found.add("stage")
    # every run with the plugin installed pays for what is done for each item
    last = None
    for item in items:
        if item.own_markers:
            found.update(_ours_of(item))
        if item.parent is not last:
            last = item.parent
            for node in [] if last is None else last.listchain():
                found.update(_ours_of(node))
        if "memguard" in getattr(item, "fixturenames", ()):
            found.add("memguard")
    return found


def is_extended(config: pytest.Config) -> bool:
    """Whether another plugin has probes or checks, which only that plugin knows the use of."""
    return bool(config.hook.pytest_memguard_probes.get_hookimpls()) or has_checks(config)


def has_checks(config: pytest.Config) -> bool:
    """Whether another plugin has checks, be it only since the tests were collected."""
    return bool(config.hook.pytest_memguard_checks.get_hookimpls())


def _ours_of(node: Any) -> set[str]:
    """Our markers that a node has itself."""
    return {mark.name for mark in node.own_markers if mark.name in _MARKERS}


def has_marker_of_ours(item: pytest.Item) -> bool:
    """Whether a test has a marker of ours itself."""
    return any(map(is_marker_of_ours, item.own_markers))


def is_marker_of_ours(mark: pytest.Mark) -> bool:
    """Whether a marker is one of ours."""
    return mark.name in _MARKERS


def must_not_run_again(item: pytest.Item | None) -> bool:
    """Whether a test may run only once; one that is not known may run again."""
    return item is not None and item.get_closest_marker(ONCE_MARKER) is not None


def late_markers(items: list[pytest.Item]) -> list[str]:
    """Tests that have a marker of ours by now, with its name: "test_a.py::test_b: mem_budget".

    Args:
        items: tests of a run in which no test had any when they were collected.
    """
    return [
        f"{item.nodeid}: {mark.name}"
        for item in items
        for mark in item.own_markers
        if mark.name in _MARKERS and mark.name != ONCE_MARKER  # which asks for nothing
    ]
