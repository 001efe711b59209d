"""What has grown between two heaps, from heaps made by hand."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.heap_growth import heap_growth
from pytest_memguard.report.heap_growth import heap_growth_lines
from pytest_memguard.storage.heap_snapshot import read_heap_snapshot
from tests.support.heap_files import snapshot_text

BASE = [
    ("synthetic", "", 1, 0),
    ("synthetic", "(Global handles)", 3, 0),
    ("object", "Server", 5, 100),
    ("hidden", "system / Context", 7, 10),
    ("object", "Array", 9, 16),
    ("object", "Cache", 11, 50),
]
EDGES = [
    (0, "element", 1, 1),
    (1, "element", 1, 2),
    (2, "internal", "context", 3),
    (3, "context", "KEPT", 4),
    (2, "property", "cache", 5),
]


def program(items, first=101, **more):
    """A program whose array has so many items, each with a string."""
    nodes, edges = [*BASE], [*EDGES]
    for n in range(items):
        at, number = len(nodes), first + 4 * n
        nodes += [("object", "Item", number, 1000), ("string", f"t{n}", number + 2, 24)]
        edges += [(4, "element", n, at), (at, "property", "text", at + 1)]
    for at, to in more.get("weak", ()):
        edges.append((at, "weak", "w", to))
    return nodes, edges


@pytest.fixture
def growth(tmp_path):
    """Compares two programs."""

    def compare(before, after):
        graphs = []
        for name, (nodes, edges) in (("a", before), ("b", after)):
            path = tmp_path / name
            path.write_text(snapshot_text(nodes, edges))
            graphs.append(read_heap_snapshot(path))
        return heap_growth(*graphs)

    return compare


def test_what_grew_and_what_keeps_it(growth) -> None:
    """Constructors, the chain that keeps the new objects, and where they gather."""
    found = growth(program(3), program(13))
    item, string = found.classes
    assert (
        *(item.name, item.count_before, item.count_after),
        *(item.retained_before, item.retained_after, item.new, item.added),
    ) == ("Item", 3, 13, 3 * 1024, 13 * 1024, 10, 10 * 1024)
    assert item.held_by.path == "(Global handles) -> Server -> variable KEPT[12]"
    assert item.held_by.share == 1
    assert string.name == "(string)"
    assert string.held_by.path.endswith("KEPT[12].text")
    (holder,) = found.holders
    assert (*(holder.name, holder.id, holder.added, holder.objects),) == (
        "Array",
        9,
        10 * 1024,
        20,
    )
    assert holder.path == "(Global handles) -> Server -> variable KEPT"


def test_the_report(growth) -> None:
    """Every number is in the report, at most 80 columns wide where it is a table."""
    lines = "\n".join(heap_growth_lines(growth(program(3), program(13)))).splitlines()
    assert lines[0] == "heap: 3.2 KiB -> 13.2 KiB, 12 -> 32 objects"
    assert "     13      +10             0.0    +0.01  Item" in lines
    assert "  Item: (Global handles) -> Server -> variable KEPT[12]" in lines
    assert lines[-1] == (
        "  10.0 KiB in 20 objects: (Global handles) -> Server -> variable KEPT (Array @9)"
    )


def test_nothing_grew(growth) -> None:
    """Objects that took the place of others are no growth."""
    assert not growth(program(5), program(5, first=501)).classes
    assert heap_growth_lines(growth(program(5), program(5)))[-1] == (
        "no constructor grew in number and in retained size"
    )


def test_two_processes(growth) -> None:
    """Heaps of two processes are compared by constructor, and the report says so."""
    nodes, edges = program(13)
    other = [(kind, name, number + 1000, size) for kind, name, number, size in nodes]
    found = growth(program(3), (other, edges))
    assert not found.same_process
    assert not found.holders
    assert [one.name for one in found.classes] == ["Item", "(string)"]
    assert found.classes[0].held_by.path.endswith("KEPT[12]")
    assert "the snapshots are of two processes" in heap_growth_lines(found)[1]


def test_garbage_is_held_by_nothing(growth) -> None:
    """Objects that only weak references reach have no chain."""
    nodes, edges = program(2)
    at = len(nodes)
    nodes = [*nodes, *(("object", "Lost", 901 + 2 * n, 5000) for n in range(3))]
    edges = [*edges, *((2, "weak", "w", at + n) for n in range(3))]
    found = growth(program(2), (nodes, edges))
    (lost,) = found.classes
    assert (lost.name, lost.new, lost.held_by) == ("Lost", 3, None)
    assert "  Lost: none; they are garbage, or weakly held" in heap_growth_lines(found)


def test_a_chain_that_programs_know_is_preferred(growth) -> None:
    """A longer chain through properties is shown, not a shorter one through V8."""
    nodes, edges = program(1)
    at = len(nodes)
    nodes = [*nodes, *(("object", "Entry", 801 + 2 * n, 500) for n in range(4))]
    edges = [
        *edges,
        *((2, "internal", "7", at + n) for n in range(4)),
        *((5, "property", f"e{n}", at + n) for n in range(4)),
    ]
    found = growth(program(1), (nodes, edges))
    path = found.classes[0].held_by.path
    assert path.startswith("(Global handles) -> Server.cache.e")
