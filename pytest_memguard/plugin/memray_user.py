"""Tests that use memray themselves; there can be one tracker at a time."""

from __future__ import annotations

import pytest


def memray_user(item: pytest.Item) -> str:
    """Why memray must not be started around a test that did not ask for it, or nothing.

    memray allows one tracker at a time, so ours would make a test fail that starts one.
    """
    if item.config.getoption("memray", default=False):
        return "pytest-memray is measuring this run (--memray)"
    for name in ("limit_memory", "limit_leaks"):
        if item.get_closest_marker(name) is not None:
            return f"pytest-memray measures this test (marker {name})"
    module = getattr(item, "module", None)
    function = getattr(item, "function", None)
    code = getattr(function, "__code__", None)
    if "memray" in getattr(module, "__dict__", {}) or (code and "memray" in code.co_names):
        return "the test uses memray itself"
    return ""
