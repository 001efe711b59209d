"""Tests of the check of one callable, for real: repeat, judge, and explain what leaks."""

from __future__ import annotations

import functools
import gc
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from pytest_memguard.attribution.leak_lines import line_of_shared
from pytest_memguard.clock import Clock
from pytest_memguard.model.leak_sizes import bytes_per_call
from pytest_memguard.model.leaks import (
    MEMORY_SIGNALS,
    STARTS_TRACEMALLOC,
    Diagnosis,
    LeakReading,
    Rate,
    Round,
    Verdict,
)
from pytest_memguard.probes.surviving_blocks import SurvivorTracker
from pytest_memguard.recording.calls import CallFailed
from pytest_memguard.recording.check import LeakCheck, call_of
from pytest_memguard.recording.limits import Limits
from pytest_memguard.recording.repeat import Repetition
from pytest_memguard.recording.settled_signals import forget_caches
from tests.support.fresh_process import alone

pytestmark = pytest.mark.slow  # each explains a leak

KEPT: list[Any] = []


@functools.lru_cache(maxsize=100_000)
def cached(number: int) -> list[int]:
    """A cache that is not full for long."""
    return [number]


class Thing:
    """What these tests keep."""


class Other:
    """What they do not keep."""


@pytest.fixture(autouse=True)
def _real_clock(monkeypatch, clock) -> Iterator[None]:
    """Time passes here, once the clock that stands still is in place."""
    assert Clock.seconds is clock
    monkeypatch.setattr(Clock, "seconds", staticmethod(time.perf_counter))
    monkeypatch.setattr(Clock, "cpu", staticmethod(time.thread_time))
    yield
    KEPT.clear()


def keep() -> None:
    """Leak twenty things."""
    KEPT.append([Thing() for _ in range(20)])


def run(call: Callable[[], None], where: str = "here", **limits: Any) -> LeakReading:
    """Check a call."""
    return LeakCheck(where).run(call, Limits(**{"calls": 150, **limits}))


@alone
def test_a_leak_is_explained() -> None:
    """A leak has its holder, line, type and a name."""
    reading = run(keep)
    assert reading.verdict.state == "leaking"
    diagnosis = reading.diagnosis
    assert diagnosis is not None
    assert diagnosis.path is not None
    assert diagnosis.path.holder == f"{__name__}.KEPT"
    assert diagnosis.lines[0].file == __file__
    assert diagnosis.types[0].type == f"{__name__}.Thing"
    assert len(diagnosis.fingerprint) == 12
    assert reading.calls > reading.verdict.calls


@alone
def test_clean() -> None:
    """A clean call has no rounds to show, and the check does not explain it."""
    reading = run(lambda: None)
    assert reading.verdict.state == "clean"
    assert (reading.verdict.rounds, reading.diagnosis, reading.accepted) == ((), None, "")
    assert reading.calls < 40  # the first of a process is not as quick on CPython 3.12
    assert 0 < reading.seconds < 5


def test_no_explanation_where_none_is_wanted() -> None:
    """Without diagnosis the verdict stands alone."""
    reading = run(keep, "none")
    assert (reading.verdict.state, reading.diagnosis) == ("leaking", None)


@alone
def test_the_name_of_a_leak_does_not_depend_on_where() -> None:
    """A leak has the same name when it is explained in a child."""
    blames = [run(keep, "fork").diagnosis, run(keep).diagnosis]
    first, second = (diagnosis.fingerprint for diagnosis in blames if diagnosis is not None)
    assert first == second


@alone
def test_the_same_leak_is_explained_once() -> None:
    """A check remembers what it has explained; the second check takes fewer calls."""
    check = LeakCheck()
    first, second = (check.run(keep, Limits(calls=150)) for _ in range(2))
    assert first.diagnosis is not None
    assert second.diagnosis is not None
    assert first.diagnosis.fingerprint == second.diagnosis.fingerprint
    assert second.verdict.state == "leaking"
    assert second.calls < first.calls


@alone
def test_a_known_leak_has_the_rate_of_the_test_that_shows_it() -> None:
    """The second test that feeds a container has its own bytes, not those of the first."""

    def keep_twice() -> None:
        keep()
        keep()

    check = LeakCheck()
    first = check.run(keep, Limits(calls=150))
    second = check.run(keep_twice, Limits(calls=150))
    sizes = [bytes_per_call(reading) for reading in (first, second)]
    assert second.calls < first.calls
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.1)


@alone
def test_garbage_is_collected_in_the_blame_though_the_collector_is_off() -> None:
    """Where the whole suite runs without the collector, cycles are in no line and no type."""

    def call() -> None:
        keep()
        cycle: list[Any] = [Other()]
        cycle.append(cycle)

    gc.disable()
    try:
        reading = LeakCheck().run(call, Limits(calls=150), respect_disabled=False)
    finally:
        gc.enable()
    assert reading.diagnosis is not None
    assert [growth.type for growth in reading.diagnosis.types] == [f"{__name__}.Thing", "list"]
    assert {line.function for line in reading.diagnosis.lines} <= {"keep", "<listcomp>"}


@alone
def test_a_cache_that_knows_its_bound_is_filling() -> None:
    """Growth in functools.lru_cache is no leak, before it is full either."""
    numbers = iter(range(10**6))

    def call() -> None:
        cached(next(numbers))

    reading = run(call, calls=400)
    assert reading.verdict.state == "settling"
    assert "functools.lru_cache(maxsize=100000)" in reading.verdict.reason


@alone
def test_a_call_that_fails_under_the_instruments() -> None:
    """A call that fails during the explanation adds a note, and the leak is still reported."""
    calls: list[None] = []

    def call() -> None:
        calls.append(None)
        keep()
        if len(calls) == first:
            msg = "worn out"
            raise CallFailed(msg)

    first = run(keep, "none", calls=100).calls  # by then the leak is being explained
    first = first - 20
    reading = run(call, calls=100)
    assert reading.verdict.state in {"leaking", "undecided"}
    result = reading.verdict.reason + str(reading.diagnosis.notes if reading.diagnosis else "")
    assert "worn out" in result


@alone
def test_calls_that_are_slow_under_the_instruments() -> None:
    """A slow explanation is cut short with a note, and the leak is still reported."""
    slow: list[bool] = []
    start = SurvivorTracker.start

    def start_slowly(tracker: SurvivorTracker) -> None:
        slow.append(True)
        start(tracker)

    def call() -> None:
        keep()
        if slow:
            time.sleep(0.1)

    with patch.object(SurvivorTracker, "start", start_slowly):
        reading = run(call, calls=60, seconds=1.0)
    assert reading.verdict.state == "leaking"
    assert reading.seconds < 6
    assert "was cut short: " in str(reading.diagnosis.notes if reading.diagnosis else "")


@alone
@pytest.mark.parametrize("broken", ["diagnosis.diagnose", "causes.causes_of", "parts.parts_of"])
def test_an_error_of_ours(broken) -> None:
    """An error of memguard's own adds a note to the leak, and does not fail the test."""
    error = TypeError("of ours")
    with patch(f"pytest_memguard.recording.{broken}", side_effect=error):
        reading = run(keep)
    assert reading.verdict.state == "leaking"
    assert reading.diagnosis is not None
    assert any("(TypeError: of ours)" in note for note in reading.diagnosis.notes)


@alone
def test_the_heap_is_as_frozen_as_before() -> None:
    """Objects that other code has frozen stay frozen, others do not."""
    gc.unfreeze()
    run(lambda: None)
    assert gc.get_freeze_count() == 0
    gc.freeze()
    run(lambda: None)
    assert gc.get_freeze_count() > 0


def test_counters_are_made_once() -> None:
    """All callables of a check share the counters."""
    check = LeakCheck()
    assert check.counters() is check.counters()
    assert check.counters(resources=False) is not check.counters()


def test_calls_of_functions() -> None:
    """Arguments are passed on, whatever their names; errors are those of the repetition."""
    seen: list[Any] = []

    def function(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))

    call_of(function, 1, function=2, self=3)()
    assert seen == [((1,), {"function": 2, "self": 3})]
    with pytest.raises(CallFailed, match=r"^ZeroDivisionError: "):
        call_of(lambda: 1 // 0)()
    with pytest.raises(KeyboardInterrupt):
        call_of(_interrupt)()


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("diagnosis", "state"),
    [
        pytest.param(Diagnosis(calls=16), "undecided", id="nothing-found"),
        pytest.param(
            Diagnosis(calls=16, notes=("memray is missing",)), "leaking", id="not-searched"
        ),
        pytest.param(Diagnosis(calls=0), "leaking", id="no-calls"),
    ],
)
def test_uneven_growth_whose_allocations_are_not_found(monkeypatch, diagnosis, state) -> None:
    """Uneven growth of the C heap alone is a leak only if no instrument could explain it."""
    rounds = tuple(
        Round(calls=3, growth=(("C heap", moved),)) for moved in (60, 180, 90, 150, 60, 180)
    )
    rates = (Rate(signal="C heap", per_call=40, low=30, high=50),)
    leaking = Verdict(state="leaking", calls=18, rates=rates, rounds=rounds)

    def verdict(repetition: Any) -> Verdict:
        repetition._on_suspicion(leaking)
        return leaking

    monkeypatch.setattr(Repetition, "verdict", verdict)
    monkeypatch.setattr(
        "pytest_memguard.recording.diagnosis.diagnose", lambda *_, **__: (diagnosis, None)
    )
    monkeypatch.setattr("pytest_memguard.recording.causes.causes_of", lambda *_: [])
    reading = run(lambda: None)
    assert reading.verdict.state == state
    assert (reading.diagnosis is None) == (state == "undecided")


def test_a_clean_check_does_not_count_the_heap(monkeypatch) -> None:
    """The interpreter counts frozen objects one by one, so a check has it do so once."""
    counted = []
    count = gc.get_freeze_count
    monkeypatch.setattr(gc, "get_freeze_count", lambda: counted.append(1) or count())
    assert run(lambda: None).verdict.state == "clean"
    assert len(counted) == 1


@alone
def test_stacks_are_kept_for_no_longer_than_the_check() -> None:
    """Lines are found once for all blocks of a stack; the stacks are dropped afterwards."""
    leaking = run(lambda: KEPT.append([Thing(), Thing()]))
    assert leaking.diagnosis is not None
    assert leaking.diagnosis.lines
    assert line_of_shared.cache_info().currsize == 0


@pytest.mark.parametrize(
    ("call", "turns"),
    [
        pytest.param(lambda: (tracemalloc.start(), tracemalloc.stop()), 1, id="tracemalloc"),
        pytest.param(lambda: None, 2, id="nothing"),
    ],
)
def test_growth_of_the_c_heap_that_no_block_accounts_for(monkeypatch, call, turns) -> None:
    """More calls follow, unless the callable starts tracemalloc, which one call shows."""
    rounds = tuple(Round(calls=3, growth=(("C heap", 180),)) for _ in range(6))
    rates = (Rate(signal="C heap", per_call=60, low=55, high=65),)
    leaking = Verdict(state="leaking", calls=18, rates=rates, rounds=rounds)
    asked = []

    def verdict(repetition: Any) -> Verdict:
        asked.append(repetition)
        repetition._on_suspicion(leaking)
        return leaking

    monkeypatch.setattr(Repetition, "verdict", verdict)
    out_of_time = (Diagnosis(calls=16, notes=("there was no time",)), None)
    monkeypatch.setattr(
        "pytest_memguard.recording.diagnosis.diagnose", lambda *_, **__: out_of_time
    )
    monkeypatch.setattr("pytest_memguard.recording.causes.causes_of", lambda *_: [])
    diagnosis = run(call).diagnosis
    assert len(asked) == turns
    assert diagnosis is not None
    assert (STARTS_TRACEMALLOC in diagnosis.notes) == (turns == 1)


def test_a_check_that_is_blind_to_memory() -> None:
    """Where no signal of memory can be read, a clean check is undecided, with the reason."""
    check = LeakCheck("none")
    counters = check.counters()
    several = zip(counters.signals, counters._readers, strict=True)
    seen = [(name, read) for name, read in several if name not in MEMORY_SIGNALS]
    counters.signals = tuple(name for name, _ in seen)
    counters._readers = tuple(read for _, read in seen)
    verdict = check.run(lambda: None, Limits(calls=50)).verdict
    assert (
        verdict.state,
        verdict.reason,
    ) == (
        "undecided",
        "no signal that shows memory can be read here (blocks, C heap, USS)",
    )


@alone
def test_what_caches_of_the_standard_library_keep_is_not_kept() -> None:
    """Caches are emptied after the first call, as they are before readings of other tests."""
    check = LeakCheck()
    if not check.heap():
        pytest.skip("the C library does not report it")
    patterns = [f"(a{number}|b{{1,{number}}})" * 20 for number in range(1, 20)]
    kept = []
    for _ in range(3):
        forget_caches()
        before = check.heap()
        for pattern in patterns:
            re.compile(pattern)
        kept.append((check.heap() - before, check.kept_since(before, collect=True)))
    taken, left = min(kept, key=lambda pair: pair[1])  # the C library needs some now and then
    assert left < taken / 10, kept
    check.close()


@alone
def test_young_garbage_of_the_first_call_takes_no_collection_of_the_whole_heap() -> None:
    """A collection of the young generation is enough for garbage of one call."""
    check = LeakCheck()
    if not check.heap():
        pytest.skip("the C library does not report it")
    gc.collect()
    gc.disable()
    before = check.heap()
    cycle: list[object] = [bytearray(100_000)]
    cycle.append(cycle)
    del cycle
    collected: list[int] = []
    gc.callbacks.append(lambda _phase, info: collected.append(info["generation"]))
    kept = check.kept_since(before, collect=True)
    gc.callbacks.pop()
    gc.enable()
    assert kept < 50_000
    assert 2 not in collected
    check.close()
