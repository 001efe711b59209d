"""Tests that meet the garbage of other tests, collect it, and make some of their own."""

from __future__ import annotations

import gc

import pytest
from memory import OVER, block, shares, small_lists, small_objects


class Node:
    """An object that refers to itself."""

    def __init__(self, data):
        self.data = data
        self.me = self


@pytest.fixture(scope="class")
def node():
    """Keep a node until the class's last test."""
    return Node(block(20))


@pytest.mark.usefixtures("node")
class TestWithNode:
    """Tests that leave the node of a fixture behind."""

    @pytest.mark.mem_budget(18)
    def test_empty_within(self):
        """Memory of an earlier fixture does not belong to the call."""

    @pytest.mark.mem_budget(18)
    def test_over(self):
        """A fixture that was there before hides nothing of the call."""
        block(18 * OVER)


@pytest.mark.parametrize("mebibytes", shares(15))
def test_collects_first(mebibytes):
    """What a test collects of others hides nothing of what it uses afterwards."""
    gc.collect()
    block(mebibytes)


@pytest.mark.parametrize("mebibytes", shares(15, metric="heap"))
def test_collects_first_heap(mebibytes):
    """What a test collects of others hides nothing from memray."""
    gc.collect()
    block(mebibytes)


@pytest.mark.parametrize("mebibytes", shares(15))
def test_collects_between(mebibytes):
    """A collection in the middle of a test hides nothing."""
    block(mebibytes / 2)
    gc.collect()
    block(mebibytes)


@pytest.mark.parametrize("mebibytes", shares(12))
def test_own_garbage(mebibytes):
    """Cyclic garbage of the test itself counts until it is collected."""
    Node(block(mebibytes / 2))
    Node(block(mebibytes / 2))
    gc.collect()


@pytest.mark.parametrize("mebibytes", shares(12, phase="all"))
def test_leaves_garbage(mebibytes):
    """Cyclic garbage that a test leaves behind was its own."""
    Node(small_objects(mebibytes))


@pytest.mark.parametrize("mebibytes", shares(8))
def test_collector_comes_by_itself(mebibytes):
    """Collections that Python begins hide nothing."""
    kept = small_lists(mebibytes)
    assert kept


@pytest.mark.parametrize("mebibytes", shares(8))
def test_without_collector(mebibytes):
    """A test that switches the collector off has a budget like all others."""
    gc.disable()
    try:
        small_lists(mebibytes)
    finally:
        gc.enable()
