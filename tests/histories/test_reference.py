"""Tests of the measurement of a test alone, without which no verdict means anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.histories.model import Case, Fixture, Operation
from tests.histories.operations import write_tables
from tests.histories.reference import PINNED, Reference

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the truth is read from /proc")

MIB = 1 << 20
CYCLE = Operation("allocate", ("bytearray", 4, "cycle"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """What measures."""
    folder = tmp_path_factory.mktemp("tables")
    write_tables(str(folder))
    reference = Reference(str(folder), PINNED)
    yield reference
    reference.stop()


@pytest.mark.parametrize(
    ("operation", "mib"),
    [
        *(
            pytest.param(Operation("allocate", (kind, 4, "plain")), 4, id=kind)
            for kind in ("bytearray", "lists", "blocks", "mmap", "grown", "shrunk")
        ),
        pytest.param(Operation("keep", ("blocks", 4, "plain", "a")), 4, id="keep"),
        pytest.param(Operation("thin_out", ("lists", 4, "a")), 4, id="thin-out"),
        pytest.param(Operation("drop", ("a",)), 0, id="drop-nothing"),
        pytest.param(Operation("clear", ("lru",)), 0, id="clear-nothing"),
        pytest.param(Operation("fill_lru", (4,)), 4, id="fill-lru"),
        pytest.param(Operation("fill_dict", (4,)), 4, id="fill-dict"),
        pytest.param(Operation("fail", ("blocks", 4, "plain")), 4, id="fail"),
        pytest.param(Operation("chain", ("blocks", 4, "plain", "")), 4, id="chain"),
        pytest.param(Operation("load", ("memguard_table_a",)), 4, id="load"),
        pytest.param(Operation("fork", ("blocks", 4)), 0, id="fork"),
        pytest.param(Operation("thread", ("blocks", 4)), 4, id="thread"),
        pytest.param(Operation("collect", (2,)), 0, id="collect"),
        pytest.param(Operation("churn", (20,)), 1.5, id="churn"),
    ],
)
def test_truth_of_an_operation(reference, operation, mib) -> None:
    """What an operation uses alone is what its size says, to less than the resolution."""
    truth = reference.truth(Case((operation,)))
    assert pytest.approx(mib, abs=0.8) == truth.high / MIB


def test_truth_of_a_cycle(reference) -> None:
    """What a test's own garbage adds depends on when it is collected; both ends are known."""
    truth = reference.bounds(Case((CYCLE, CYCLE)))
    assert pytest.approx(4, abs=0.8) == truth.low / MIB
    assert pytest.approx(8, abs=0.8) == truth.high / MIB


def test_list_that_grows_may_be_there_twice(reference) -> None:
    """What the C heap was used for before may double what growing in place takes."""
    truth = reference.bounds(Case((Operation("allocate", ("grown", 4, "plain")),)))
    assert pytest.approx(4, abs=0.8) == truth.high / MIB
    assert pytest.approx(8, abs=0.8) == truth.retaining / MIB


def test_list_that_grows_need_not_be_there_twice(reference) -> None:
    """A list that outgrows what the test's own garbage has left free is there twice, or not."""
    garbage = Operation("allocate", ("blocks", 4, "finalizer"))
    grown = Operation("allocate", ("grown", 4, "plain"))
    collect = Operation("collect", (2,))
    truth = reference.bounds(Case((Operation("fill_dict", (2,)), garbage, collect, grown)))
    assert pytest.approx(6, abs=0.8) == truth.low / MIB


def test_old_garbage_is_freed_by_a_full_collection_only(reference) -> None:
    """A collection of young objects may come too late for a test's own garbage."""
    truth = reference.bounds(Case((CYCLE, Operation("collect", (0,)), CYCLE)))
    assert pytest.approx(4, abs=0.8) == truth.low / MIB
    assert pytest.approx(8, abs=0.8) == truth.high / MIB
    truth = reference.bounds(Case((CYCLE, Operation("collect", (2,)), CYCLE)))
    assert pytest.approx(4, abs=0.8) == truth.high / MIB


def test_fixture_is_no_part_of_it(reference) -> None:
    """What a fixture holds before the call does not count."""
    case = Case((CYCLE,), fixture=Fixture("class", "bytearray", 8, "plain"))
    assert pytest.approx(4, abs=0.8) == reference.truth(case).high / MIB


def test_tests_do_not_touch_each_other(reference) -> None:
    """What a test keeps is gone when the next one is measured."""
    keep = Operation("keep", ("blocks", 4, "plain", "a"))
    reference.truth(Case((keep,)))
    after = reference.truth(Case((keep, Operation("drop", ("a",)))))
    assert pytest.approx(4, abs=0.8) == after.high / MIB
