"""Tests of the repetition of a call, with counters and a clock that tests set."""

from __future__ import annotations

import functools
import gc
import itertools
import re
import struct
import sys
import weakref
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pytest_memguard.model.leaks import Signal, Verdict
from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording import settled_signals
from pytest_memguard.recording.calls import CallFailed
from pytest_memguard.recording.limits import Limits
from pytest_memguard.recording.repeat import Repetition
from pytest_memguard.recording.settled_signals import SettledSignals, forget_caches
from pytest_memguard.sizes import MIB

SIGNALS: tuple[Signal, ...] = ("blocks", "C heap", "USS", "open files", "Python threads")


class FakeCounters:
    """Counters whose numbers a test sets; it counts how often they are read."""

    leaves_cache_out = False

    def __init__(self) -> None:
        """Begin at nought."""
        self.signals = SIGNALS
        self.resources: Sequence[int] = [3, 4]
        self.now: dict[str, int] = dict.fromkeys(SIGNALS, 0)
        self.reads = 0
        self.small = 0

    def small_blocks(self) -> bytes:
        """Statistics of small blocks, if a test has set their bytes."""
        return malloc_stats(self.small) if self.small else b""

    def row(self) -> array[int]:
        """Room for a reading."""
        return array("q", [0] * len(SIGNALS))

    def read(self, row: array[int], **_: object) -> None:
        """Put the numbers of now into their columns."""
        self.reads += 1
        for index, signal in enumerate(SIGNALS):
            row[index] = self.now[signal]


def malloc_stats(used: int) -> bytes:
    """Statistics of pymalloc with so many bytes in use."""
    row = f"0 16 1 {used // 16} 5"
    return f"class\n-----\n{row}\n# arenas\n5 unused pools * 16384".encode()


class RealBlocks(FakeCounters):
    """Reads the blocks of this process, and nothing else: they are exact."""

    def read(self, row: array[int], **_: object) -> None:
        """Put the number of blocks into its column."""
        row[0] = sys.getallocatedblocks()


@pytest.fixture
def counters() -> FakeCounters:
    """Counters at nought."""
    return FakeCounters()


@pytest.fixture(autouse=True)
def naps(monkeypatch) -> list[float]:
    """Seconds slept; sleeping takes no time."""
    slept: list[float] = []
    monkeypatch.setattr(settled_signals.time, "sleep", slept.append)
    return slept


@pytest.fixture
def repeated(counters: FakeCounters, clock) -> Callable[..., Repetition]:
    """Repeat a call that takes some time and lets signals grow."""

    def repeated(
        growth: Callable[[int], dict[str, int]] | dict[str, int],
        limits: Limits | None = None,
        seconds: float = 0.001,
        *,
        respect_disabled: bool = True,
        **more: Any,
    ) -> Repetition:
        def call() -> None:
            calls.append(None)
            clock.advance(seconds)
            grown = growth(len(calls)) if callable(growth) else growth
            for signal, by in grown.items():
                counters.now[signal] += by

        calls: list[None] = []
        fake: Any = counters
        seen = SettledSignals(fake, respect_disabled=respect_disabled)
        return Repetition(call, seen, limits or Limits(), **more)

    return repeated


def test_a_call_that_leaves_nothing_is_clean_at_once(repeated) -> None:
    """Two short rounds after two calls of warm-up are enough."""
    repetition = repeated({})
    verdict = repetition.verdict()
    assert verdict.state == "clean"
    assert repetition.calls <= 12
    first, second = (a_round.calls for a_round in verdict.rounds)
    assert first == second >= 3


def test_a_clean_call_takes_five_readings(repeated, counters) -> None:
    """Signals are read once at the start, and twice for each of two rounds."""
    repeated({}).verdict()
    assert counters.reads == 5


@pytest.mark.parametrize(
    ("sizes", "calls", "state"),
    [
        pytest.param(lambda call: 40 * call, 200, "leaking", id="grows"),
        pytest.param(lambda call: 400 * (call > 8), 14, "clean", id="grows-once"),
        pytest.param(lambda call: 600 * (call > 4), 10, "clean", id="before-the-round"),
        pytest.param(lambda call: -40 * call, 10, "clean", id="shrinks"),
    ],
)
def test_growth_inside_small_blocks(repeated, counters, sizes, calls, state) -> None:
    """It is seen in every round, or there are no more calls than usual; the heap shows it."""
    base = 1 << 20

    def growth(call: int) -> dict[str, int]:
        counters.small = base + sizes(call)
        return {"C heap": 40} if state == "leaking" and call > 16 else {}

    counters.small = base
    repetition = repeated(growth, Limits(calls=calls + 200))
    assert repetition.verdict().state == state
    assert repetition.calls == calls or state == "leaking"


@pytest.mark.parametrize(
    ("kept", "most"), [(1500, 10), (8000, 60), (32_000, 90), (10 << 20, 90)]
)
def test_what_the_first_call_kept_calls_for_a_longer_pause(repeated, kept, most) -> None:
    """The more a call kept without visible growth, the more flat calls have to follow."""
    repetition = repeated({}, kept=kept)
    assert repetition.verdict().state == "clean"
    assert most - 30 <= repetition.calls <= most


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.01, 60, 90), (0.1, 28, 34)])
def test_a_longer_pause_takes_a_tenth_of_the_time(repeated, seconds, least, most) -> None:
    """Where calls are slow and nothing has grown since the first, the verdict is clean."""
    repetition = repeated({}, kept=32_000, seconds=seconds)
    assert repetition.verdict().state == "clean"
    assert least <= repetition.calls <= most


def test_growth_after_a_longer_pause_is_followed(repeated) -> None:
    """The end of the time ends nothing where something has grown meanwhile."""
    grow = repeated(lambda n: {"blocks": n > 25}, kept=32_000, seconds=0.1)
    assert grow.verdict().state == "leaking"


def test_an_arena_that_the_first_call_began(repeated) -> None:
    """A block of 32 KB in one of 32 calls leaks, though ten calls after it are flat."""
    step = {"C heap": 32_000}
    verdict = repeated(lambda n: step if n % 32 == 0 else {}, kept=32_000).verdict()
    assert verdict.state == "leaking"
    assert verdict.rates[0].per_call == pytest.approx(1000, rel=0.1)


def test_thread_cache_that_settling_fills_is_no_growth(repeated, counters, monkeypatch) -> None:
    """Cached blocks count as in use: a reading with them is not compared to one without."""

    def fill() -> None:
        counters.now["C heap"] = max(counters.now["C heap"], 32_000)

    monkeypatch.setattr(settled_signals, "fill_tcache", fill)
    repetition = repeated(lambda number: {"blocks": 4} if number in (4, 8) else {})
    assert repetition.verdict().state == "clean"
    assert repetition.calls < 60


def test_growth_in_the_first_calls_calls_for_a_longer_pause(repeated) -> None:
    """Growth during the warm-up calls for a longer pause, if more calls are made."""
    first = {2: {"C heap": 32_000}, 4: {"blocks": 4}, 8: {"blocks": 4}}
    repetition = repeated(lambda number: first.get(number, {}))
    assert repetition.verdict().state == "clean"
    assert repetition.calls > 64


def test_no_more_garbage_at_a_time_in_long_rounds(counters) -> None:
    """Garbage of a long round would need more pages than the rounds before."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    alive: weakref.WeakSet[Cycle] = weakref.WeakSet()
    most = []

    def call() -> None:
        alive.add(Cycle())
        most.append(len(alive))
        counters.now["blocks"] += 1

    fake: Any = counters
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()  # only the check collects
    try:
        Repetition(
            call, SettledSignals(fake, respect_disabled=False), Limits(calls=300)
        ).verdict()
    finally:
        if enabled:
            gc.enable()
    assert len(most) > 200
    assert max(most) <= 2


@pytest.mark.parametrize(("least", "state"), [(0, "clean"), (120, "undecided")])
def test_noise_after_a_first_call_that_kept_much(repeated, least, state) -> None:
    """A little growth among extra calls does not make a clean test undecided."""

    def growth(number: int) -> dict[str, int]:
        return {"C heap": 9000} if number == 70 else {}

    repetition = repeated(growth, Limits(calls=120, least=least), kept=32_000)
    assert repetition.verdict().state == state


@pytest.mark.parametrize("least", [11, 20, 60, 300])
def test_as_many_calls_as_asked_for(repeated, least) -> None:
    """A verdict of clean rests on as many calls as the user wants."""
    repetition = repeated({}, Limits(calls=least, least=least))
    verdict = repetition.verdict()
    assert verdict.state == "clean"
    assert least - 13 <= repetition.calls <= least


def test_more_calls_see_what_is_rare(repeated) -> None:
    """A leak in one of fifty calls is seen if as many calls are made."""

    def growth(number: int) -> dict[str, int]:
        return {"C heap": 100_000} if number % 50 == 0 else {}

    assert repeated(growth).verdict().state == "clean"
    limits = Limits(calls=500, least=500)
    assert repeated(growth, limits).verdict().state == "leaking"


def test_growth_that_uses_up_its_limit_leaks(repeated) -> None:
    """Growth by a share of itself is a leak once it has used up its limit."""
    asked: list[Verdict] = []
    verdict = repeated(
        lambda n: {"C heap": int(100 * 1.5**n)}, on_suspicion=asked.append
    ).verdict()
    assert verdict.state == "leaking"
    assert asked == []  # some more calls, to explain it, might take a hundred times as much


@pytest.mark.parametrize("share", [1.2, 1.25, 1.3])
def test_growth_that_would_exceed_its_limit(repeated, share) -> None:
    """Growth by a share of itself is not explained, even beside a leak that is certain."""
    asked: list[Verdict] = []
    verdict = repeated(
        lambda n: {"blocks": 1, "C heap": int(100 * share**n)}, on_suspicion=asked.append
    ).verdict()
    assert verdict.state == "leaking"
    assert asked == []


@pytest.mark.parametrize("signal", ["Python threads", "open files", "C heap"])
def test_what_used_up_all_threads_is_explained(repeated, signal) -> None:
    """More threads or files during an explanation do less harm than more memory."""
    asked: list[Verdict] = []
    limits = Limits(threads=12, files=12, memory=1200)
    grown = 100 if signal == "C heap" else 1
    verdict = repeated({signal: grown}, limits, on_suspicion=asked.append).verdict()
    assert verdict.state == "leaking"
    assert verdict.calls < 20
    assert len(asked) == (signal != "C heap")


@pytest.mark.parametrize("start", [16, 64, 128, 256])
def test_growth_that_doubles_leaks(repeated, start) -> None:
    """A signal that doubles is read after each call once it is large."""
    verdict = repeated(lambda n: {"C heap": start * 2**n}).verdict()
    assert verdict.state == "leaking"


def test_what_instruments_take_is_not_lost(repeated, counters) -> None:
    """Tables loaded to explain a leak neither count as its damage nor end the check."""

    def ask(_: Verdict) -> None:
        counters.now["C heap"] += 300 * MIB
        counters.now["USS"] += 300 * MIB

    repetition = repeated({"C heap": 4096, "USS": 4096}, on_suspicion=ask)
    verdict = repetition.verdict()
    assert verdict.state == "leaking"
    assert repetition.calls == 2000
    assert verdict.rates[0].per_call == pytest.approx(4096)


def test_what_is_lost_under_instruments_counts(repeated, counters) -> None:
    """Calls under the instruments lose memory like any others."""

    def ask(_: Verdict) -> None:
        counters.now["C heap"] += 16 * 6 * MIB

    with_it = repeated({"C heap": 6 * MIB}, on_suspicion=ask)
    with_it.verdict()
    counters.now["C heap"] = 0
    without = repeated({"C heap": 6 * MIB})
    without.verdict()
    assert with_it.calls < without.calls - 8


def test_warmup_is_not_counted(repeated) -> None:
    """Growth in the first calls, as many as the limits name, is not counted."""
    repetition = repeated(lambda n: {"blocks": 100 if n <= 5 else 0}, Limits(warmup=5))
    verdict = repetition.verdict()
    assert verdict.state == "clean"
    assert repetition.calls <= 15


@pytest.mark.parametrize(
    ("signal", "per_call"),
    [
        ("blocks", 1),
        ("C heap", 32),
        ("USS", 8192),
        ("open files", 1),
        ("Python threads", 1),
    ],
)
def test_steady_growth_leaks(repeated, signal, per_call) -> None:
    """A signal that grows with every call is a leak, at that rate."""
    verdict = repeated({signal: per_call}, Limits(calls=300)).verdict()
    assert verdict.state == "leaking"
    assert [rate.signal for rate in verdict.rates] == [signal]
    assert pytest.approx(per_call) == verdict.rates[0].per_call


def test_growth_that_ends_is_no_leak(repeated) -> None:
    """A cache of fifty entries is followed until it is full."""
    verdict = repeated(lambda n: {"blocks": int(n <= 50)}).verdict()
    assert verdict.state == "settling"
    assert verdict.calls < 300


@pytest.mark.parametrize("calls", [12, 40, 100, 333])
def test_no_more_calls_than_allowed(repeated, calls) -> None:
    """The number of calls has an end, warm-up included."""
    repetition = repeated({"blocks": 1}, Limits(calls=calls))
    repetition.verdict()
    assert calls - 13 <= repetition.calls <= calls  # a last round is kept for short ones


def test_the_number_of_calls_is_stated(repeated) -> None:
    """A check that could not go on says how far it came."""
    verdict = repeated({"blocks": 1}, Limits(calls=9)).verdict()
    assert verdict.state == "undecided"
    assert verdict.reason.endswith(
        "calls are too few to tell, and 9 is the most there may be; "
        "at least 34 are needed to report a leak"
    )


@pytest.mark.parametrize("seconds", [0.05, 0.5, 3])
def test_no_more_time_than_allowed(repeated, clock, seconds) -> None:
    """A slow call is made as often as the time allows, and once more at most."""
    start = clock.now
    repetition = repeated({"blocks": 1}, Limits(seconds=5), seconds)
    verdict = repetition.verdict()
    assert clock.now - start <= 5 + 3 * seconds
    assert repetition.calls <= 5 / seconds + 3
    if verdict.state == "undecided":
        few = f"and at {seconds} s each there is no time for enough in the 5 s it may take"
        assert verdict.reason.endswith(few)


@pytest.mark.parametrize("seconds", [5, 5.001234])
def test_the_end_of_the_time_is_the_reason(repeated, seconds) -> None:
    """Uneven growth that is followed until the time is over is reported as that."""
    limits = Limits(seconds=seconds)
    growth = repeated(lambda n: {"blocks": 500 // (1 + n * 7 % 17)}, limits, 0.1)
    verdict = growth.verdict()
    assert verdict.state == "undecided"
    assert verdict.reason.endswith("too unevenly to tell, and the 5 s it may take are over")


@pytest.mark.parametrize(
    ("seconds", "calls", "reason"),
    [
        pytest.param(0.4, 10, "", id="just-in-time"),
        pytest.param(0.6, 2, "and at 0.6 s each", id="slow"),
        pytest.param(5.5, 1, "and at 5.5 s each", id="one-call-takes-it-all"),
        pytest.param(17.2, 1, "and at 17 s each", id="very-slow"),
    ],
)
def test_a_slow_call_is_not_repeated_for_nothing(repeated, seconds, calls, reason) -> None:
    """Where the time is too short for any verdict, no further call is made."""
    repetition = repeated({}, Limits(seconds=5), seconds)
    verdict = repetition.verdict()
    assert repetition.calls == calls
    if reason:
        assert verdict.state == "undecided"
        assert verdict.reason.startswith(f"the first calls alone are too few to tell, {reason}")
    else:
        assert verdict.state == "clean"


def test_a_slow_first_call_ends_nothing(repeated, clock) -> None:
    """Only the quickest call counts for how slow they are."""

    def growth(number: int) -> dict[str, int]:
        clock.advance(3 if number == 1 else 0)
        return {}

    repetition = repeated(growth, Limits(seconds=5), 0.1)
    assert repetition.verdict().state == "clean"


def test_a_slow_call_that_does_harm_is_repeated(repeated) -> None:
    """A few calls are enough where each loses much, so they are made."""
    verdict = repeated({"C heap": 20 * MIB}, Limits(seconds=5), 0.6).verdict()
    assert verdict.calls >= 4


@pytest.mark.parametrize(
    ("growth", "limits", "most"),
    [
        pytest.param({"open files": 1}, Limits(files=40), 45, id="files"),
        pytest.param({"Python threads": 1}, Limits(threads=30), 35, id="threads"),
        pytest.param({"C heap": MIB}, Limits(memory=50 * MIB), 55, id="memory"),
        pytest.param({"USS": 10 * MIB}, Limits(memory=300 * MIB), 35, id="pages"),
        pytest.param({"open files": 7}, Limits(files=50), 14, id="many-at-once"),
    ],
)
def test_damage_is_limited(repeated, growth, limits, most) -> None:
    """Calls end when the leak has used up its limit, however certain it is."""
    repetition = repeated(growth, limits)
    repetition.verdict()
    assert repetition.calls <= most


def test_the_damage_is_the_reason(repeated) -> None:
    """A verdict that comes too early has the loss so far as its reason."""
    verdict = repeated({"C heap": 100 * MIB}).verdict()
    assert verdict.state == "undecided"
    assert re.search(r"and \d+\.\d MiB are lost already$", verdict.reason)


def test_a_call_that_fails(counters) -> None:
    """After a failed call the verdict is undecided, with the call's number and error."""

    def call() -> None:
        calls.append(1)
        if len(calls) == 4:
            msg = "KeyError: 'x'"
            raise CallFailed(msg)

    calls: list[int] = []
    verdict = Repetition(call, SettledSignals(counters), Limits()).verdict()
    assert verdict.state == "undecided"
    assert verdict.reason == "call 4 of the repetition went wrong: KeyError: 'x'"


def test_other_exceptions_pass_on(counters) -> None:
    """An interruption passes through and gives no verdict."""

    def call() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Repetition(call, SettledSignals(counters), Limits()).verdict()


def test_resources_are_waited_for(counters, clock, naps) -> None:
    """A descriptor that is closed a moment later is not held against the call."""

    def call() -> None:
        clock.advance(0.001)
        counters.now["open files"] += 1

    def nap(seconds: float) -> None:
        naps.append(seconds)
        counters.now["open files"] = 0

    settled_signals.time.sleep = nap  # undone by the fixture that replaced it first
    verdict = Repetition(call, SettledSignals(counters), Limits()).verdict()
    assert verdict.state in {"clean", "settling"}
    assert naps
    assert max(naps) == 0.001


def test_patience_ends(repeated, naps) -> None:
    """Once waiting has been in vain, the check does not wait again."""
    repeated({"open files": 1}, Limits(calls=100)).verdict()
    assert sum(naps) < 0.5
    assert naps == sorted(naps)


def test_memory_gets_one_moment(repeated, naps) -> None:
    """The check waits for memory once at the end of each round, for a millisecond."""
    growth = {"blocks": 1, "C heap": 32, "USS": 4096}
    verdict = repeated(growth, Limits(calls=60)).verdict()
    assert set(naps) == {0.001}
    assert len(naps) <= len(verdict.rounds) + 3


def test_pages_are_not_waited_for(repeated, naps) -> None:
    """Pages that a thread has used stay when it is gone."""
    repeated({"USS": 4096}, Limits(calls=60)).verdict()
    assert naps == []


def test_the_callback_is_called_once(repeated) -> None:
    """The callback that may know the cause is called once, with the verdict so far."""
    asked: list[Verdict] = []
    verdict = repeated({"blocks": 2}, Limits(calls=200), on_suspicion=asked.append).verdict()
    assert verdict.state == "leaking"
    assert [so_far.state for so_far in asked] == ["leaking"]
    assert asked[0].calls < verdict.calls


def test_the_callback_may_end_the_check(repeated) -> None:
    """A verdict from the callback is the verdict, and no further call is made."""
    known = Verdict(state="settling", calls=3, reason="known")
    repetition = repeated({"blocks": 2}, on_suspicion=lambda _: known)
    assert repetition.verdict() is known
    assert repetition.calls < 60


@pytest.mark.parametrize(
    ("calls", "least"),
    [
        pytest.param(2000, 500, id="half-of-the-time"),
        pytest.param(200, 100, id="no-more-calls"),
    ],
)
def test_a_slow_explanation_comes_late(repeated, calls, least) -> None:
    """Where explaining takes long, most calls that the verdict rests on are made before it."""
    asked: list[Verdict] = []
    limits = Limits(calls=calls, seconds=2.0)
    repetition = repeated(
        {"blocks": 2}, limits, on_suspicion=asked.append, not_before=lambda: 1.0
    )
    assert repetition.verdict().state == "leaking"
    assert [so_far.state for so_far in asked] == ["leaking"]
    assert asked[0].calls >= least


@pytest.mark.parametrize("known", [True, False])
def test_known_leaks_are_recognised_at_once(repeated, known) -> None:
    """The check for a known leak takes little time, and is made once."""
    asked: list[Verdict] = []

    def is_known(so_far: Verdict) -> Verdict | None:
        asked.append(so_far)
        return so_far if known else None

    limits = Limits(calls=200, seconds=2.0)
    repetition = repeated(
        {"blocks": 2},
        limits,
        on_suspicion=lambda _: None,
        is_known=is_known,
        not_before=lambda: 1.0,
    )
    assert repetition.verdict().state == "leaking"
    assert len(asked) == 1
    assert asked[0].calls < 60
    assert (repetition.calls < 60) == known


def test_no_explanation_without_growth(repeated) -> None:
    """The check does not explain a clean call."""
    asked: list[Verdict] = []
    repeated({}, on_suspicion=asked.append).verdict()
    assert asked == []


@pytest.mark.parametrize(
    ("enabled", "respect", "collects"),
    [(True, True, True), (True, False, True), (False, False, True), (False, True, False)],
)
def test_garbage_is_collected_unless_the_call_forbids_it(
    repeated, monkeypatch, enabled, respect, collects
) -> None:
    """Garbage stays where the collector was switched off by the call itself."""
    collected: list[int] = []
    monkeypatch.setattr(settled_signals.gc, "isenabled", lambda: enabled)
    monkeypatch.setattr(settled_signals.gc, "collect", lambda _: collected.append(1))
    repeated({}, respect_disabled=respect).verdict()
    assert bool(collected) == collects


def test_garbage_does_not_pile_up_in_long_rounds(repeated, monkeypatch) -> None:
    """Rounds become longer, but the garbage between two collections does not."""
    calls: list[int] = []
    collected: list[int] = []
    monkeypatch.setattr(settled_signals.gc, "collect", lambda _: collected.append(len(calls)))

    def growth(number: int) -> dict[str, int]:
        calls.append(number)
        return {"blocks": 1}

    verdict = repeated(growth, Limits(calls=300)).verdict()
    assert max(a_round.calls for a_round in verdict.rounds) > 20
    most = max(later - before for before, later in itertools.pairwise(collected))
    assert 1 <= most <= 4


@pytest.mark.parametrize("warmup", [0, 1, 2, 9])
def test_garbage_of_the_first_reading(counters, monkeypatch, warmup) -> None:
    """No more garbage gathers at a time than in the warm-up: it would need more pages."""
    collected = [0]
    monkeypatch.setattr(settled_signals.gc, "collect", lambda _: collected.append(len(calls)))
    calls: list[None] = []
    limits = Limits(warmup=warmup)
    verdict = Repetition(lambda: calls.append(None), SettledSignals(counters), limits).verdict()
    assert verdict.state == "clean"
    first_reading = [number for number in collected if number >= warmup]
    most = max(later - before for before, later in itertools.pairwise(first_reading))
    assert most == min(4, max(1, warmup))


def test_garbage_of_long_rounds_stays_where_the_call_forbids_to_collect(
    repeated, monkeypatch
) -> None:
    """Where the call switched the collector off, its garbage counts in long rounds too."""
    collected: list[int] = []
    monkeypatch.setattr(settled_signals.gc, "isenabled", lambda: False)
    monkeypatch.setattr(settled_signals.gc, "collect", lambda _: collected.append(1))
    verdict = repeated({"blocks": 1}, Limits(calls=300)).verdict()
    assert max(a_round.calls for a_round in verdict.rounds) > 20
    assert collected == []


def test_the_series_is_kept(repeated) -> None:
    """Every round is there with its calls and how far each signal moved."""
    verdict = repeated({"blocks": 2, "C heap": -1}, Limits(calls=50)).verdict()
    assert verdict.rounds
    for a_round in verdict.rounds:
        assert a_round.of("blocks") == 2 * a_round.calls
        assert a_round.of("C heap") == -a_round.calls
        assert a_round.of("child processes") is None


def test_caches_are_forgotten() -> None:
    """The caches of the standard library that fill with use are empty afterwards."""
    re.compile("some pattern of this test")
    struct.calcsize("<hhhhxxxx")
    forget_caches()
    caches = [getattr(re, "_cache", None), getattr(re, "_cache2", None)]
    assert not any(caches)


@pytest.mark.parametrize(
    "how", [{"settle": False, "types": True}, {"settle": True}], ids=["types", "all"]
)
def test_names_looked_up_on_types_do_not_stay(how) -> None:
    """A reading may empty the cache that keeps a name as often as it was made anew."""
    seen = SettledSignals(Counters(resources=False))
    blocks = seen.signals.index("blocks")
    before, after = seen.row(), seen.row()
    for row in (before, after, before):  # what the first ones leave behind is not counted
        seen.read(row, **how)
    names = [b"bit_length".decode() for _ in range(200)]
    while names:
        getattr(5, names.pop())
    seen.read(after, **how)
    assert after[blocks] - before[blocks] < 20


def test_names_that_a_call_makes_are_no_growth() -> None:
    """A call that looks up new names on types is clean at the first reading."""

    def ask() -> None:
        names = [b"bit_length".decode() for _ in range(20)]
        while names:
            getattr(5, names.pop())

    only_blocks: Any = RealBlocks()
    repetition = Repetition(ask, SettledSignals(only_blocks), Limits())
    assert repetition.verdict().state == "clean"
    assert repetition.calls == 10


def test_own_caches_are_left_alone() -> None:
    """A program's own caches are not touched."""

    @functools.lru_cache(maxsize=8)
    def cached(number: int) -> int:
        return number

    cached(1)
    forget_caches()
    assert cached.cache_info().currsize == 1
    assert gc.isenabled()


def test_importers_of_folders_that_are_gone_are_forgotten(tmp_path) -> None:
    """Importers of folders that are gone are forgotten; others stay."""
    gone = str(tmp_path / "gone")
    sys.path_importer_cache[str(tmp_path)] = None
    sys.path_importer_cache[gone] = None
    try:
        forget_caches()
        assert gone not in sys.path_importer_cache
        assert str(tmp_path) in sys.path_importer_cache
    finally:
        sys.path_importer_cache.pop(str(tmp_path), None)
