"""The benchmark of large heaps: it explains a leak, and attributes the time to its parts."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(BENCH)
    leak_heap = importlib.import_module("leak_heap")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_parts():
    """Every part of both explanations of a process takes time."""
    found = leak_heap.child(1_000)
    assert found["objects"] > 1_000
    assert len(found["explanations"]) == 2
    assert all(took[part] > 0 for took in found["explanations"] for part in leak_heap.PARTS)
