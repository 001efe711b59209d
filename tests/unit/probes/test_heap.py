"""Tests of starting memray's tracker."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.probes import heap
from pytest_memguard.probes.memray_module import chosen_allocators


class Announcing:
    """A tracker that announces something when it starts."""

    def __enter__(self):
        """Start."""
        sys.stderr.write("this is experimental")


@pytest.mark.parametrize("loaded", [True, False])
def test_notice_about_greenlets(monkeypatch, capsys, loaded) -> None:
    """Memray's notice where greenlet is loaded does not get into the run's output."""
    monkeypatch.delitem(sys.modules, "greenlet", raising=False)
    if loaded:
        monkeypatch.setitem(sys.modules, "greenlet", object())
    heap.enter(Announcing(), chosen_allocators())
    assert ("experimental" in capsys.readouterr().err) is not loaded
