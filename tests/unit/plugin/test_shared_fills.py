"""Tests of which tests run once more together, and of the message where that is unknown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_memguard.forking.isolation import ChildResult
from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.plugin.fresh.shared_fills import SharedFills
from pytest_memguard.sizes import MIB


class Process:
    """Stands for the process that runs tests where no other test has run."""

    def __init__(self, answer=None, failed=()) -> None:
        """Answer every question alike."""
        self.answer = answer or ChildResult(
            value={"fills": [{"holder": "data.parts", "bytes": 5 * MIB}], "failed": failed}
        )
        self.asked = []

    def ask(self, first, _seconds, *, names_fills, others):
        """Note which tests would run."""
        assert names_fills
        self.asked += [first.nodeid, *others]
        return self.answer


def outcome(name, growth, seconds=0.1, result="passed") -> Outcome:
    """A test that has left so many MiB behind."""
    call = PhaseReading(
        name="call", seconds=seconds, level=0, growth=int(growth * MIB), peaks=()
    )
    return Outcome(nodeid=name, result=result, phases=(call,))


def run(process, *outcomes, filled=0, workers=0) -> SharedFills:
    """What is known after a run of these tests, which were collected in this order."""
    shared = SharedFills(process)
    for one in outcomes:
        shared.note(one, filled, is_stored=one.result == "passed")
    items = [SimpleNamespace(nodeid=one.nodeid) for one in outcomes]
    config = SimpleNamespace(**({"workerinput": {"workercount": workers}} if workers else {}))
    loop = shared.pytest_runtestloop(SimpleNamespace(items=items, config=config))
    next(loop)
    with pytest.raises(StopIteration):
        next(loop)
    return shared


@pytest.fixture(autouse=True)
def repeatable(monkeypatch):
    """No test of these has a marker."""
    module = "pytest_memguard.plugin.fresh.shared_fills.must_not_run_again"
    monkeypatch.setattr(module, lambda item: item.nodeid == "once")


def test_in_the_order_of_the_run():
    """Tests that have left something run once more, as they came."""
    process = Process()
    shared = run(process, outcome("a", 1), outcome("b", 0), outcome("c", 3), outcome("d", 2))
    assert process.asked == ["a", "c", "d"]
    assert [fill.holder for fill in shared.fills()] == ["data.parts"]
    assert (shared.tests, shared.gaps) == (3, [])


def test_what_a_fresh_process_has_shown():
    """A test whose fill was hidden by slack in the run is among them."""
    process = Process()
    run(process, outcome("a", 0), filled=3 * MIB)
    assert process.asked == ["a"]


@pytest.mark.parametrize(
    ("sizes", "workers", "asked"),
    [
        pytest.param([1, 0.9], 0, [], id="little"),
        pytest.param([1, 1.1], 0, ["0", "1"], id="more"),
        pytest.param([1.5, *[0.05] * 11], 0, ["0"], id="much-of-which-most-is-little"),
        pytest.param([0.5, 0.4], 2, [], id="little-in-each-worker"),
        pytest.param([1, 0.9], 2, ["0", "1"], id="more-in-all-workers"),
    ],
)
def test_what_matters(sizes, workers, asked):
    """None is run once more if they have left 2 MiB at most in all workers together."""
    process = Process()
    outcomes = [outcome(str(n), size) for n, size in enumerate(sizes)]
    assert run(process, *outcomes, workers=workers).gaps == []
    assert process.asked == asked


@pytest.mark.parametrize(
    ("process", "others", "gap"),
    [
        pytest.param(Process(), [], "", id="all"),
        pytest.param(Process(), [outcome("b", 3, seconds=11)], "*take too long*", id="no-time"),
        pytest.param(Process(), [outcome("b", 1, seconds=11)], "", id="little-is-left-out"),
        pytest.param(Process(), [outcome("once", 3)], "*must not run twice*", id="once"),
        pytest.param(
            Process(), [outcome("b", 3, result="failed")], "*did not pass*", id="failed"
        ),
        pytest.param(Process(failed=["a"]), [], "*did not pass*", id="failed-there"),
        pytest.param(
            Process(ChildResult(problem="it was killed")), [], "*: it was killed", id="died"
        ),
    ],
)
def test_gaps(process, others, gap):
    """What was left out is said as soon as it may matter."""
    shared = run(process, outcome("a", 3), *others)
    pytest.LineMatcher(shared.gaps).fnmatch_lines([gap] if gap else [])
    assert bool(shared.gaps) is bool(gap)


def test_workers():
    """What workers fill adds up; a worker that ends without a word leaves a gap."""
    worker, shared = run(Process(), outcome("a", 3)), SharedFills(Process())
    output = {}
    worker.pytest_sessionfinish(SimpleNamespace(config=SimpleNamespace(workeroutput=output)))
    for _ in range(2):
        shared.pytest_testnodedown(SimpleNamespace(workeroutput=output))
    assert [fill.size for fill in shared.fills()] == [10 * MIB]
    assert (shared.tests, shared.gaps) == (2, [])
    shared.pytest_testnodedown(SimpleNamespace())
    assert shared.gaps == ["a worker has ended without a report"]
