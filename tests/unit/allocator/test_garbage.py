"""Tests of the collections of the whole heap."""

from __future__ import annotations

import gc

import pytest

from pytest_memguard.allocator.garbage import WholeHeap, collect


@pytest.fixture
def collected(monkeypatch, clock) -> list[int]:
    """Generations that were collected; the whole heap takes as long as ``clock.cost``."""
    found: list[int] = []
    clock.cost = 0.2

    def collect(generation: int = 2) -> int:
        found.append(generation)
        clock.advance(clock.cost if generation == 2 else 0.0)
        return 0

    monkeypatch.setattr(gc, "collect", collect)
    return found


@pytest.fixture(autouse=True)
def _thresholds():
    """Restore the collector's thresholds, which a test may change."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_the_whole_heap_is_collected_for_a_share_of_the_time(collected, clock) -> None:
    """After a collection that took a fifth of a second the next one waits for ten."""
    heap = WholeHeap()
    for seconds in (0, 5, 4.9, 0.2, 1):
        clock.advance(seconds)
        heap.collect()
    assert collected == [2, 1, 1, 2, 1]


def test_the_interpreter_leaves_a_large_heap_alone_meanwhile(collected) -> None:
    """Where a collection is expensive, automatic ones are off until the heap is closed."""
    heap = WholeHeap()
    heap.collect()
    assert gc.get_threshold() == (700, 10, 1_000_000)
    heap.close()
    assert gc.get_threshold() == (700, 10, 10)
    assert collected


def test_a_small_heap_keeps_automatic_collections(collected, clock) -> None:
    """Where a collection is cheap, automatic ones go on as before."""
    clock.cost = 0.01
    heap = WholeHeap()
    heap.collect()
    assert gc.get_threshold() == (700, 10, 10)
    heap.close()
    assert collected == [2]


def test_thresholds_that_a_test_has_set_stay(collected) -> None:
    """Thresholds that a test has changed since are left as they are."""
    heap = WholeHeap()
    heap.collect()
    gc.set_threshold(1, 2, 3)
    heap.close()
    assert gc.get_threshold() == (1, 2, 3)
    assert collected


def test_callbacks_are_not_called_in_collections() -> None:
    """Callbacks are off during a collection, so none swallows an interrupt, and restored."""
    phases: list[str] = []

    def note(phase: str, _: object) -> None:
        phases.append(phase)

    gc.callbacks.append(note)
    try:
        before = list(gc.callbacks)
        collect()
        assert gc.callbacks == before
        assert phases == []
        gc.collect()
        assert phases == ["start", "stop"]
    finally:
        gc.callbacks.remove(note)
