"""Tests of what the kernel reports of children that have ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_memguard.probes import ended_children as module
from pytest_memguard.probes.ended_children import (
    EndedChildren,
    ended_children,
    most_touched,
    own_memory,
    touched_since,
)
from tests.support.child_processes import MIB, program

SIZE = 40 * MIB
NONE = EndedChildren(peak=90 * MIB, faults=100, major=10)


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps nothing of children")
def test_a_child_that_has_ended():
    """The memory a child touched, and its peak, are known when it was waited for."""
    before = ended_children()
    with program(SIZE):
        assert before == ended_children()
    now = ended_children()
    assert now.peak > SIZE
    touched = touched_since(before, now)
    assert SIZE < touched < 2 * SIZE or touched == now.peak


@pytest.mark.parametrize(
    ("huge", "touched"),
    [
        pytest.param(b"always [madvise] never", (300 + 5) * 4096, id="on-request"),
        pytest.param(b"[always] madvise never", 95 * MIB, id="always"),
        pytest.param(None, (300 + 5) * 4096, id="unknown"),
    ],
)
def test_page_faults_bound_what_was_touched(monkeypatch, tmp_path, huge, touched):
    """A fault maps 4 KiB; with huge pages everywhere, the largest child is the bound."""
    path = tmp_path / "enabled"
    if huge is not None:
        path.write_bytes(huge)
    monkeypatch.setattr(module, "_HUGE_PAGES", path)
    monkeypatch.setattr(sys, "platform", "linux")
    now = EndedChildren(peak=95 * MIB, faults=400, major=15)
    assert touched == touched_since(NONE, now)
    assert touched_since(NONE, NONE) == 0


def test_elsewhere_faults_bound_nothing(monkeypatch):
    """On other systems a page may have any size."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert most_touched(1) is None
    assert most_touched(0) == 0


def test_the_own_mark_is_never_below_the_level(monkeypatch):
    """The high-water mark is at least the level, wherever it comes from."""
    mark, level = own_memory()
    assert mark >= level > MIB

    def missing(_: Path) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_bytes", missing)
    mark, level = own_memory()
    assert mark >= level > MIB


def test_windows_keeps_nothing(monkeypatch):
    """Where there is no getrusage, nothing is known of ended children."""
    monkeypatch.setattr("pytest_memguard.probes.ended_children._usage", None)
    assert EndedChildren(0, 0, 0) == ended_children()
