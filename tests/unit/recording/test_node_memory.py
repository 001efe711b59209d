"""Sums over the threads of Node.js programs, and what they mark."""

from __future__ import annotations

import pytest

from pytest_memguard.probes.node_reports import NodeReport
from pytest_memguard.recording.node_memory import NodeMemory


class Reports:
    """Reports that are given."""

    def __init__(self) -> None:
        """None yet."""
        self.waiting = []

    def receive(self):
        """All that wait."""
        found, self.waiting = self.waiting, []
        return found


def report(pid=3, thread=0, at=100.0, used=7, kept=5, **more) -> NodeReport:
    """A report."""
    memory = {"heap_total": 9, "heap_used": used, "external": 2, "array_buffers": 1}
    if kept is not None:
        memory |= {"heap_kept": kept, "external_kept": 2}
    return NodeReport(
        **{
            "kind": "reading",
            "thread": (pid, thread),
            "at": at,
            "rss": 50,
            "memory": memory,
            **more,
        }
    )


@pytest.fixture
def memory():
    """What programs have reported, at an interval of 0.1 s."""
    return NodeMemory(Reports(), 0.1)


@pytest.fixture
def take(memory):
    """Takes reports in, at a time that is given."""
    clock = {"now": 100.0}
    memory._now = lambda: clock["now"]

    def take_in(*reports, now=100.0):
        clock["now"] = now
        memory.reports.waiting += reports
        memory.receive()

    return take_in


def test_threads_and_processes_add_up(memory, take) -> None:
    """Each thread has a heap of its own; processes that are none of the tree do not count."""
    take(report(), report(thread=1, used=70), report(pid=4, used=700), report(pid=9, used=1))
    found = memory.levels([3, 4])
    assert (found["heap_used"], found["heap_kept"]) == (777, 15)


def test_one_without_a_collection(memory, take) -> None:
    """A heap that was not collected counts as it is, and it is noted how much that is."""
    take(report(kept=None))
    assert "heap_kept" not in memory.levels([3])
    take(report(), report(thread=1, used=70, kept=None))
    found = memory.levels([3])
    assert tuple(found[one] for one in ("heap_used", "heap_kept", "uncollected")) == (
        77,
        75,
        72,
    )


def test_a_report_that_is_overdue(memory, take) -> None:
    """A program that is busy has no reading; a worker thread that ended is forgotten."""
    take(report(), report(thread=1), now=100.2)
    assert memory.levels([3])["heap_used"] == 14
    take(report(at=105.0), now=105.0)
    assert memory.levels([3]) == {}
    take(report(at=111.0), now=111.0)
    assert memory.levels([3])["heap_used"] == 7
    take(now=200.0)
    assert memory.levels([3]) == {}


def test_stages_are_those_of_one_thread(memory, take) -> None:
    """Stages of the first thread that marks one are taken; the report names the others."""
    take(report(kind="stage", text="a"), report(pid=4, kind="stage", text="b"))
    (mark,) = memory.take_marks()
    assert (mark.name, mark.levels.heap_used, mark.levels.rss) == ("a", 7, 50)
    assert memory.take_marks() == []
    assert ("stages", "those of one thread only are shown") in memory.gaps()


@pytest.mark.parametrize(
    ("counts", "of", "shown"),
    [
        pytest.param(range(0, 101, 10), 100, [*range(0, 101, 10)], id="announced"),
        pytest.param(range(1, 41), 0, [1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40], id="not"),
        pytest.param([0, 50, 100, 0, 50], 100, [0, 50], id="a-second-loop"),
        pytest.param([], 0, [], id="none"),
        pytest.param([0], 0, [0], id="nothing-done"),
    ],
)
def test_every_tenth_of_the_iterations(memory, take, counts, of, shown) -> None:
    """There is a reading for the first iteration and for each tenth of all."""
    take(*(report(kind="iteration", count=count, of=of) for count in counts))
    assert shown == [reading.count for reading in memory.iterations(90.0)]


def test_what_grew_most(memory, take) -> None:
    """A heap snapshot is of the thread that keeps more than before."""
    assert memory.grown_most() is None
    take(report(kept=5), report(pid=4, kept=500))
    take(report(kept=9), report(pid=4, kept=501))
    assert memory.grown_most() == (3, 0)


def test_gaps(memory, take) -> None:
    """The report says if no program has reported, or V8 has collected nothing."""
    assert memory.gaps() == [("heapUsed", "no Node.js process has reported its memory")]
    take(report(kept=None))
    assert "no full collection" in memory.gaps()[0][1]
    take(report())
    assert memory.gaps() == []
