"""The process from which runs of pytest that check for leaks are forked.

A search for what holds a leak takes as long as the heap is large. So this process has imported
only what such runs use, which is half of the package.
"""

from __future__ import annotations

from typing import Final

from pytest_memguard.probes.memray_module import chosen_allocators
from tests.support import forked_pytest
from tests.support.small_heap import hide_code

_USED: Final = (
    "allocator.other_allocators",
    "codecs.run_codec",
    "measure.detail",
    "measure.stages",
    "plugin.bounded_tests",
    "plugin.children",
    "plugin.collector_off",
    "plugin.explainer",
    "plugin.fresh.fresh_budgets",
    "plugin.hooks",
    "plugin.planning",
    "plugin.pytest_internals.assertions",
    "plugin.quiet_failures",
    "plugin.repeating.after_repetitions",
    "plugin.repeating.leakhooks",
    "plugin.repeating.leak_report",
    "plugin.session",
    "probes.slack",
    "recording.causes",
    "recording.diagnosis",
    "recording.c_memory_parts",
    "recording.joined_causes",
    "recording.made_contents",
    "recording.part",
    "recording.parts",
    "recording.unexplained",
    "report.failure",
    "report.leak_section",
    "report.peak_spread",
    "report.summary",
    "storage.known_leaks",
)
"""Modules with which nearly all others of such a run come."""


def prepare() -> None:
    """Load those, and what memray itself loads later."""
    forked_pytest.prepare_runs(f"pytest_memguard.{name}" for name in _USED)
    chosen_allocators()  # reads the libraries of memray, once
    hide_code()
