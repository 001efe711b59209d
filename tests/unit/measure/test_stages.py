"""Tests of stages: nesting, repetition, decorators, and what each adds up to."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.measure.recorder import Recorder
from pytest_memguard.measure.stage_host import set_current
from pytest_memguard.measure.stage_log import StageLog
from pytest_memguard.measure.stages import Stage, stage_budget
from pytest_memguard.measure.stages import stage as public_stage
from pytest_memguard.model.measurements import Budget
from pytest_memguard.sizes import KIB, MIB
from tests.support.fakes import FakeHost, FakeMarker, FakeMeter


def log_of(*meters, slack=lambda _: 0, **more) -> StageLog:
    """A log with nothing in it, of a process without slack."""
    return StageLog(Recorder(meters, lambda: None), slack, **more)


@pytest.fixture
def meter() -> FakeMeter:
    """A process that holds 100 bytes."""
    return FakeMeter(100)


@pytest.fixture
def log(meter) -> StageLog:
    """The log of a test that is being measured, with nothing in it."""
    made = log_of(meter)
    made.start_level = 100
    return made


@pytest.fixture
def stage(log):
    """Stages that go to that log, whatever else measures this test."""
    host = FakeHost(lambda: log)
    return lambda name, budget=None: Stage(name, stage_budget(name, budget), host)


@contextmanager
def measured_by(host) -> Iterator[None]:
    """The host, if any, that stages go to until the end of the block."""
    before = set_current(host)
    try:
        yield
    finally:
        set_current(before)


def paths(log) -> list[tuple[str, int]]:
    """Each stage of a log, and how often it ran."""
    return [(path, found.count) for path, found in log.sums.items()]


def test_one_stage(stage, log, meter, clock) -> None:
    """A stage has its delta, its peak, its time, and the level at its end."""
    meter.move(130)
    with stage("load"):
        meter.touch(400)
        meter.move(180)
        clock.advance(0.5)
    found = log.sums["load"]
    assert (
        found.count,
        found.delta,
        found.cumul,
        found.seconds,
        found.peaks,
    ) == (1, 50, 80, 0.5, [270])


def test_nested_stages(stage, log, meter) -> None:
    """A stage within a stage is called by both names, and counts for both."""
    with stage("load"):
        meter.move(110)
        with stage("parse"):
            meter.touch(200)
            with stage("numbers"):
                meter.move(150)
        with stage("check"):
            pass
    assert (paths(log)) == [
        ("load", 1),
        ("load/parse", 1),
        ("load/parse/numbers", 1),
        ("load/check", 1),
    ]
    assert {path: (found.delta, found.peaks) for path, found in log.sums.items()} == {
        "load": (50, [100]),
        "load/parse": (40, [90]),
        "load/parse/numbers": (40, [40]),
        "load/check": (0, [0]),
    }


def test_same_stage_again(stage, log, meter, clock) -> None:
    """Runs of a stage add up; its peak is the highest, its level the last."""
    for touched, level in [(150, 120), (300, 125), (130, 90)]:
        with stage("load"):
            meter.touch(touched)
            meter.move(level)
            clock.advance(1)
    found = log.sums["load"]
    assert (
        found.count,
        found.delta,
        found.cumul,
        found.seconds,
        found.peaks,
    ) == (3, -10, -10, 3, [180])


def test_same_stage_within_itself(stage, log, meter) -> None:
    """A recursive stage is a stage of its own at each depth."""
    with stage("walk"), stage("walk"):
        meter.move(110)
    assert paths(log) == [("walk", 1), ("walk/walk", 1)]


def test_one_object_within_itself(stage, log, meter) -> None:
    """One stage object may be entered again while it is entered."""
    walk = stage("walk")
    with walk:
        with walk:
            meter.move(110)
        meter.move(130)
    assert {path: found.delta for path, found in log.sums.items()} == {
        "walk": 30,
        "walk/walk": 10,
    }
    assert log.unfinished == 0


def test_order_of_first_entry(stage, log) -> None:
    """Stages stand in the order they were first entered, not left."""
    for name in ("b", "a", "b"):
        with stage(name):
            pass
    assert paths(log) == [("b", 2), ("a", 1)]


def test_failing_stage(stage, log, meter) -> None:
    """A stage that raises is measured, lets the error pass, and is over."""

    def fail() -> None:
        with stage("load"):
            meter.move(150)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with stage("next"):
        pass
    assert log.sums["load"].delta == 50
    assert paths(log) == [("load", 1), ("next", 1)]
    assert log.unfinished == 0


def test_unfinished_stage(stage, log) -> None:
    """A stage that was entered and not left is counted as such, and has no run."""
    left_open = stage("load")
    context = contextvars.copy_context()
    context.run(left_open.__enter__)
    assert log.unfinished == 1
    assert paths(log) == [("load", 0)]


def test_several_meters() -> None:
    """A stage has a peak for every meter."""
    meters = [FakeMeter(10), FakeMeter(20, metric="python")]
    log = log_of(*meters)
    with Stage("load", None, FakeHost(lambda: log)):
        meters[0].touch(15)
        meters[1].touch(90)
    assert log.sums["load"].peaks == [5, 70]


def test_what_meters_may_have_missed() -> None:
    """Each meter's peak has a ceiling: the highest of all runs, with what was missed in it."""
    meters = [FakeMeter(10), FakeMeter(20, metric="tree")]
    log = log_of(*meters)
    for unseen, high in ((40, 25), (0, 50)):
        meters[1].unseen = unseen
        with Stage("load", None, FakeHost(lambda: log)):
            meters[1].touch(high)
    assert log.sums["load"].peaks == [0, 30]
    assert log.sums["load"].ceilings == [0, 45]
    meters[1].unseen = None
    with Stage("load", None, FakeHost(lambda: log)):
        pass
    assert log.sums["load"].ceilings == [0, inf]


def test_a_test_is_measured(log) -> None:
    """Stages go to the log of the test that is running and measured."""
    with measured_by(FakeHost(lambda: log)), public_stage("load"):
        pass
    assert paths(log) == [("load", 1)]


def test_no_test_is_measured() -> None:
    """Where no test is being measured, stages do nothing."""

    @public_stage("parse")
    def parse() -> int:
        return 7

    with measured_by(None), public_stage("load"), public_stage("load"):
        assert parse() == 7


def test_measuring_begins_inside_a_stage(log) -> None:
    """A stage that was entered before measuring began is not logged when it is left."""
    outer = public_stage("outer")
    with measured_by(None):
        outer.__enter__()
    with measured_by(FakeHost(lambda: log)):
        with public_stage("inner"):
            pass
        outer.__exit__(None, None, None)
    assert paths(log) == [("inner", 1)]


def test_measuring_ends_inside_a_stage(log, meter) -> None:
    """A stage goes to the log it was entered in, even if measuring has ended."""
    with measured_by(FakeHost(lambda: log)), public_stage("load"):
        set_current(None)
        meter.move(130)
    assert log.sums["load"].delta == 30


@pytest.mark.parametrize(
    ("wants_stages", "expected"),
    [
        pytest.param(True, [("load", 1), ("load/parse", 1)], id="all"),
        pytest.param(False, [("parse", 1)], id="those-with-a-budget"),
    ],
)
def test_stages_that_are_wanted(log, wants_stages, expected) -> None:
    """Where only budgets matter, stages without one do nothing."""
    with (
        measured_by(FakeHost(lambda: log, wants_stages=wants_stages)),
        public_stage("load"),
        public_stage("parse", budget=5),
    ):
        pass
    assert expected == paths(log)


def test_own_host_goes_first(log, meter) -> None:
    """A stage that was made for one test stays with it."""
    own = log_of(meter)
    with measured_by(FakeHost(lambda: log)), Stage("load", None, FakeHost(lambda: own)):
        pass
    assert (paths(log), paths(own)) == ([], [("load", 1)])


def test_set_current_returns_the_one_before() -> None:
    """The caller gets the former host back, so that it can be restored."""
    one, other = FakeHost(lambda: None), FakeHost(lambda: None)
    with measured_by(one):
        assert one is set_current(other)
        assert other is set_current(one)


def test_host_makes_no_log_without_stages() -> None:
    """No log is made before the first stage is entered."""
    host = FakeHost(object)
    with measured_by(host):
        public_stage("load")
    assert host.log is None


# Decorators


def test_function(stage, log, meter) -> None:
    """A decorated function is a stage each time it is called."""

    @stage("load")
    def load(count, *, more=0) -> int:
        meter.move(meter.now + count)
        return count + more

    assert load(2, more=3) == 5
    assert load(4) == 4
    assert paths(log) == [("load", 2)]
    assert log.sums["load"].delta == 6


def test_recursive_function(stage, log) -> None:
    """A decorated function that calls itself nests."""

    @stage("walk")
    def walk(depth) -> None:
        if depth:
            walk(depth - 1)

    walk(2)
    assert paths(log) == [("walk", 1), ("walk/walk", 1), ("walk/walk/walk", 1)]


def test_generator_function(stage, log, meter) -> None:
    """A decorated generator is a stage from its first step to its last."""

    @stage("rows")
    def rows():
        meter.move(110)
        got = yield 1
        meter.move(130)
        yield got
        return "end"

    running = rows()
    assert paths(log) == []
    assert next(running) == 1
    assert paths(log) == [("rows", 0)]
    assert running.send("sent") == "sent"
    with pytest.raises(StopIteration) as caught:
        next(running)
    assert caught.value.value == "end"
    assert paths(log) == [("rows", 1)]
    assert log.sums["rows"].delta == 30


def test_closed_generator(stage, log) -> None:
    """A decorated generator that is closed early is a stage that is over."""

    @stage("rows")
    def rows():
        yield 1
        yield 2

    running = rows()
    next(running)
    running.close()
    assert paths(log) == [("rows", 1)]
    assert log.unfinished == 0


def test_coroutine_function(stage, log, meter) -> None:
    """A decorated coroutine is a stage while it is awaited."""

    @stage("fetch")
    async def fetch(count) -> int:
        """Wait, then take some bytes."""
        await asyncio.sleep(0)
        meter.move(100 + count)
        return count

    waiting = fetch(9)
    assert paths(log) == []
    assert asyncio.run(waiting) == 9
    assert paths(log) == [("fetch", 1)]
    assert log.sums["fetch"].delta == 9


def test_tasks_do_not_nest_in_each_other(stage, log) -> None:
    """Two tasks at once each have their own path."""

    async def work(name) -> None:
        """Be in a stage, and in one within."""
        with stage(name):
            await asyncio.sleep(0)
            with stage("inner"):
                await asyncio.sleep(0)

    async def both() -> None:
        """Run two at once."""
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    assert {("a", 1), ("b", 1), ("a/inner", 1), ("b/inner", 1)} == set(paths(log))


def test_threads_do_not_nest_in_each_other(stage, log) -> None:
    """A thread begins outside of any stage, whatever the others are in."""

    def work() -> None:
        with stage("thread"):
            pass

    with stage("main"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert {("main", 1), ("thread", 1)} == set(paths(log))


def test_asynchronous_generator() -> None:
    """An asynchronous generator cannot be decorated, and the message says what can be done."""

    async def rows():
        """Give one row."""
        yield 1

    with pytest.raises(ConfigError) as caught:
        public_stage("rows")(rows)
    assert str(caught.value).startswith("a stage cannot decorate the asynchronous generator ")
    assert str(caught.value).endswith("rows: write 'with stage(...)' in its body")


@pytest.mark.parametrize(
    "kind",
    [inspect.isfunction, inspect.isgeneratorfunction, inspect.iscoroutinefunction],
    ids=["function", "generator", "coroutine"],
)
def test_decorated_function_is_what_it_was(kind) -> None:
    """A decorated function keeps its kind, name, docstring and signature."""

    def function(row, *, strict=False):
        """Say what it does."""
        return row, strict

    def generator(row, *, strict=False):
        """Say what it does."""
        yield row, strict

    async def coroutine(row, *, strict=False):
        """Say what it does."""
        return row, strict

    plain = {
        inspect.isfunction: function,
        inspect.isgeneratorfunction: generator,
        inspect.iscoroutinefunction: coroutine,
    }[kind]
    decorated = public_stage("load")(plain)
    assert decorated is not plain
    assert kind(decorated)
    assert plain.__name__ == decorated.__name__
    assert decorated.__doc__ == "Say what it does."
    assert str(inspect.signature(decorated)) == "(row, *, strict=False)"


# Budgets


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        pytest.param("50 MB", 50 * MIB, id="text"),
        pytest.param(2, 2 * MIB, id="bare-number"),
        pytest.param("1 KB", KIB, id="small"),
        pytest.param(0, 0, id="off"),
    ],
)
def test_stage_budget(written, limit) -> None:
    """A stage's budget is on its resident memory, and says which stage set it."""
    assert Budget(limit=limit, stage="load", where="stage('load', budget=...)") == stage_budget(
        "load", written
    )


def test_stage_without_budget() -> None:
    """A stage has no budget unless it is given one."""
    assert stage_budget("load", None) is None


@pytest.mark.parametrize(
    ("name", "budget", "problem"),
    [
        pytest.param("", None, "a stage needs a name, not ''", id="empty-name"),
        pytest.param("  ", None, "a stage needs a name, not '  '", id="blank-name"),
        pytest.param(5, None, "a stage needs a name, not 5", id="number-for-a-name"),
        pytest.param(None, None, "a stage needs a name, not None", id="no-name"),
        pytest.param(
            "load", "big", "stage 'load': budget 'big' is not a size: ", id="budget-no-size"
        ),
        pytest.param("load", -1, "stage 'load': budget -1 is not a size: ", id="negative"),
    ],
)
def test_bad_stage(name, budget, problem) -> None:
    """A stage with no name, or a budget that is no size, is refused at once."""
    with pytest.raises(ConfigError) as caught:
        public_stage(name, budget=budget)
    assert str(caught.value).startswith(problem)


def budgets(log) -> dict[tuple[str, int], tuple[int, int]]:
    """Peak and upper bound under each budget of a log, by stage and limit."""
    return {(b.stage, b.limit): (peak.value, peak.high) for b, peak in log.inline.items()}


def test_budget_of_a_nested_stage(stage, log, meter) -> None:
    """A budget holds for the path at which its stage was entered."""
    with stage("load"), stage("parse", budget="3 B"):
        meter.touch(140)
    assert budgets(log) == {("load/parse", 3): (40, 40)}
    assert [found.where for found in log.inline] == ["stage('parse', budget=...)"]


def test_budget_of_some_runs(stage, log, meter) -> None:
    """A budget counts the runs that were entered with it, and no others."""
    for budget, high in [("3 B", 150), (None, 900), ("5 B", 300), ("3 B", 120)]:
        with stage("load", budget=budget):
            meter.touch(high)
    assert budgets(log) == {("load", 3): (50, 50), ("load", 5): (200, 200)}


def test_budget_of_a_failing_stage(stage, log, meter) -> None:
    """A stage that raises has been measured against its budget."""

    def fail() -> None:
        with stage("load", budget="3 B"):
            meter.touch(150)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert budgets(log) == {("load", 3): (50, 50)}


def test_slack(meter) -> None:
    """Slack that is free when a stage begins makes its upper bound higher."""
    asked = []
    slacks = iter([10, 70, 0])

    def slack(limit) -> int:
        asked.append(limit)
        return next(slacks)

    log = log_of(meter, slack=slack)
    host = FakeHost(lambda: log)
    for high in (180, 130, 140):
        with Stage("load", stage_budget("load", "3 B"), host):
            meter.touch(high)
    assert asked == [3] * 3
    assert budgets(log) == {("load", 3): (80, 100)}
    assert (log.sums["load"].high, log.sums["load"].peaks) == (100, [80])


def test_slack_without_a_budget(meter) -> None:
    """The function that returns the slack gets no limit where the stage has none."""
    asked = []
    log = log_of(meter, slack=lambda limit: asked.append(limit) or 7)
    with Stage("load", None, FakeHost(lambda: log)):
        meter.touch(150)
    assert asked == [None]
    assert (log.sums["load"].high, log.inline) == (57, {})


# Left open, left twice


def test_left_more_often_than_entered(stage, log) -> None:
    """A stage that is left without having been entered raises an error about that."""
    load = stage("load")
    with load:
        pass
    with pytest.raises(RuntimeError, match="'load' is left more often than it was entered"):
        load.__exit__(None, None, None)
    assert paths(log) == [("load", 1)]


def test_left_open_by_another_test(log) -> None:
    """A test begins outside of any stage, whatever earlier tests left open."""
    before = log_of(FakeMeter(100))

    def next_test() -> None:
        Stage("open", None, FakeHost(lambda: before)).__enter__()
        with Stage("load", None, FakeHost(lambda: log)):
            pass

    contextvars.copy_context().run(next_test)
    assert paths(before) == [("open", 0)]
    assert paths(log) == [("load", 1)]


def test_nothing_is_measured_while_the_interpreter_ends(stage, log, monkeypatch) -> None:
    """A stage that is left open until the end is not measured then."""
    load = stage("load")

    def end() -> None:
        load.__enter__()
        monkeypatch.setattr(sys, "is_finalizing", lambda: True)
        load.__exit__(None, None, None)

    contextvars.copy_context().run(end)
    assert paths(log) == [("load", 0)]


# Boundaries in a stream of allocations


def test_windows(stage, log) -> None:
    """Each run of a stage is a stretch between two boundaries, the inner ones inside."""
    log.tracker = FakeMarker()
    with stage("load"):
        for _ in range(2):
            with stage("parse"):
                pass
    assert {path: found.windows for path, found in log.sums.items()} == {
        "load": [(0, 5)],
        "load/parse": [(1, 2), (3, 4)],
    }


def test_highest_window(stage, log, meter) -> None:
    """The run with the highest peak is remembered; of equal ones, the first."""
    log.tracker = FakeMarker()
    for touched in (100, 150, 120, 150):
        with stage("load"):
            meter.touch(touched)
    assert log.sums["load"].highest == (2, 3)


def test_highest_window_without_any_rise(stage, log) -> None:
    """A stage that never rose still has a run to explain."""
    log.tracker = FakeMarker()
    with stage("load"):
        pass
    assert log.sums["load"].highest == (0, 1)


def test_no_windows_without_a_stream(stage, log) -> None:
    """Where no stream is written, there are no boundaries."""
    with stage("load"):
        pass
    assert (log.sums["load"].windows, log.sums["load"].highest) == ([], None)


@pytest.mark.parametrize("after", [None, FakeMarker()], ids=["stopped", "another"])
def test_stream_that_ends_inside_a_stage(stage, log, after) -> None:
    """A stage that outlives its stream has no stretch in it, nor in the next one."""
    log.tracker = FakeMarker()
    with stage("load"):
        log.tracker = after
    assert log.sums["load"].windows == []
    assert log.sums["load"].count == 1


def test_stream_that_begins_inside_a_stage(stage, log) -> None:
    """A stage that began before its stream has no stretch in it."""
    with stage("load"):
        log.tracker = FakeMarker()
    assert log.sums["load"].windows == []


def test_forget_windows(stage, log) -> None:
    """Once a stream has been read its boundaries are forgotten, the sums are not."""
    log.tracker = FakeMarker()
    with stage("load"):
        pass
    log.forget_windows()
    assert (
        log.sums["load"].windows,
        log.sums["load"].highest,
        log.sums["load"].count,
    ) == ([], None, 1)


def test_before_the_first_stage(meter) -> None:
    """The preparation for stages is done once, before the first one is measured."""
    calls = []

    def prepare() -> None:
        calls.append(meter.calls.copy())
        meter.move(500)

    log = log_of(meter, before_first=prepare)
    host = FakeHost(lambda: log)
    for _ in range(2):
        with Stage("load", None, host):
            meter.move(meter.now + 1)
    assert calls == [[]]
    assert log.sums["load"].delta == 2
