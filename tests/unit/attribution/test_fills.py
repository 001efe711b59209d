"""Tests of what a call has filled for good: in forks, since the heap is frozen for that."""

from __future__ import annotations

import functools
import gc
import time
from typing import Any

import pytest

from pytest_memguard.attribution.fills import fills, large_values
from pytest_memguard.forking.isolation import run_in_fork
from tests.support.fresh_process import alone

REGISTRY: dict[str, Any] = {}
SMALL: list[Any] = []


@functools.cache
def cached() -> list[bytes]:
    """A table that the first call makes."""
    return [bytes(1000) for _ in range(2000)]


class Holder:
    """Has a table in its class."""

    names: dict[int, str] = {}  # noqa: RUF012  shared on purpose


def filled(call) -> dict[str, int]:
    """What a call fills, by holder, in kilobytes."""

    def child() -> list[tuple[str, int]]:
        gc.unfreeze()  # another test of this suite may have frozen the heap
        before = large_values()
        gc.collect()
        gc.freeze()
        call()
        gc.collect()
        return [(fill.holder, fill.size // 1000) for fill in fills(before)]

    result = run_in_fork(child, 30)
    assert not result.problem
    return dict(result.value)


@alone
def test_holders() -> None:
    """A cache, a dict of a module and one of a class are named, with what they hold."""

    def call() -> None:
        cached()
        REGISTRY["rows"] = [bytes(1000) for _ in range(1000)]
        Holder.names.update((number, "n" * 1000) for number in map(str, range(500)))
        SMALL.append([1, 2, 3])

    found = filled(call)
    assert next(iter(found)) == f"functools.lru_cache of {__name__}.cached"
    assert 2000 <= found[f"functools.lru_cache of {__name__}.cached"] <= 2200
    assert 1000 <= found[f"{__name__}.REGISTRY"] <= 1100
    assert f"{__name__}.SMALL" not in found


@alone
def test_what_the_collector_does_not_track() -> None:
    """Texts, bytes and dicts of nothing else are found by what holds them."""

    def call() -> None:
        REGISTRY["text"] = "t" * 500_000
        Holder.numbers = {str(number): number for number in range(10_000)}  # type: ignore[attr-defined]

    found = filled(call)
    assert found[f"{__name__}.REGISTRY"] == 500
    assert 500 <= found[f"{__name__}.Holder.numbers"] <= 1500


@alone
def test_what_does_not_stay() -> None:
    """Objects that are gone after the call fill nothing."""
    assert filled(lambda: [bytes(1000) for _ in range(5000)] and None) == {}


def test_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many objects that the collector does not track take no longer than any others."""
    monkeypatch.setattr("pytest_memguard.attribution.fills._SECONDS", 0.02)

    def child() -> float:
        gc.freeze()
        REGISTRY["rows"] = [{str(row): (row, str(row))} for row in range(200_000)]
        gc.collect()
        start = time.thread_time()
        fills(set())
        return time.thread_time() - start

    result = run_in_fork(child, 60)
    assert not result.problem
    assert result.value < 0.3, result.value


class Node:
    """Refers to another node."""

    def __init__(self) -> None:
        """Refer to itself at first."""
        self.other = self
        self.rows = [bytes(1000) for _ in range(200)]


@alone
def test_what_is_in_a_cycle() -> None:
    """Objects each of which another one holds are found from what holds one of them."""

    def call() -> None:
        for _ in range(3):
            node, other = Node(), Node()
            node.other, other.other = other, node
            REGISTRY[f"node {len(REGISTRY)}"] = node

    found = filled(call)
    assert list(found) == [f"{__name__}.REGISTRY"]
    assert 1200 <= found[f"{__name__}.REGISTRY"] <= 1400
