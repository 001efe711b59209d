"""Tests of the leak rule: rounds of calls in, a verdict out."""

from __future__ import annotations

import math
from itertools import accumulate
from random import Random

import pytest

from bench.leak_rule import Series, check
from pytest_memguard.judge.leak import confirmed, final, leaking_rates, next_size, untraced
from pytest_memguard.model.leaks import Rate, Verdict
from tests.support.leak_rounds import a_round, series

STOPPED = "and 40 is the most there may be"


@pytest.mark.parametrize(
    ("rounds", "signals"),
    [
        pytest.param((), [], id="none"),
        pytest.param(series(*[3] * 6), [], id="eighteen-calls"),
        pytest.param(series(*[4] * 5, calls=4), [], id="five-rounds"),
        pytest.param((*series(*[3] * 5), a_round(4, blocks=4)), [], id="nineteen-calls"),
        pytest.param((*series(*[3] * 5), a_round(5, blocks=5)), ["blocks"], id="twenty-calls"),
        pytest.param(
            series(75, 80, 100, 120, 125, 100, calls=10), ["blocks"], id="uneven-in-sixty-calls"
        ),
        pytest.param(
            series(75, 80, 100, 120, 125, 100, calls=11), ["blocks"], id="uneven-in-more-calls"
        ),
        pytest.param(
            (a_round(9, blocks=75), *series(80, 100, 120, 125, 100, calls=10)),
            [],
            id="uneven-in-fifty-nine-calls",
        ),
        pytest.param(series(*[3] * 7), ["blocks"], id="an-object-per-call"),
        pytest.param(series(*[1] * 7), ["blocks"], id="every-third-call"),
        pytest.param(series(*[1, 2] * 6), ["blocks"], id="every-second-call"),
        pytest.param(series(*[4] * 6, calls=4), ["blocks"], id="six-rounds"),
        pytest.param(series(*[1] * 6, calls=4), [], id="at-the-floor"),
        pytest.param(series(*[3] * 9, 0), [], id="not-in-the-last"),
        pytest.param(series(0, *[3] * 10), ["blocks"], id="not-in-the-first-of-many"),
        pytest.param(
            (*series(*[3] * 10), a_round(1, blocks=0)), ["blocks"], id="last-cut-short"
        ),
        pytest.param(
            (*series(*[3] * 10), a_round(1, blocks=-40)), [], id="lost-in-the-one-cut-short"
        ),
        pytest.param(series(9, 1, 12, 2, 9, 3, 8, 2, 9, 3), [], id="by-chance"),
        pytest.param(series(3, 4, 3, 4, 4, 3, 3, 2, 2, 3), [], id="few-calls-not-straight"),
        pytest.param(
            series(60, 50, 61, 54, 49, 60, 52, 63, 57, 55, calls=30),
            ["blocks"],
            id="many-calls-not-straight",
        ),
        pytest.param(series(*range(60, 20, -3), calls=30), [], id="fading"),
        pytest.param(series(*[60] * 15, 900, calls=30), ["blocks"], id="a-step-at-the-end"),
        pytest.param(
            series(*[60] * 7, 900, *[60] * 8, calls=30), ["blocks"], id="a-step-in-between"
        ),
        pytest.param(
            series(*[60] * 7, 900, *[60] * 7, 1800, calls=30), ["blocks"], id="two-steps"
        ),
        pytest.param(
            series(*[60] * 7, 900, 60, 60, 900, *[60] * 4, 1800, calls=30), [], id="three-steps"
        ),
        pytest.param(series(*range(60, 20, -3), 900, calls=30), [], id="fading-before-a-step"),
        pytest.param(
            series(*range(100, 52, -4), calls=30),
            [],
            id="fading-slowly",
        ),
        pytest.param(
            series(*[90] * 4, *[30] * 12, calls=30), ["blocks"], id="fell-once-then-steady"
        ),
        pytest.param(series(*[90] * 10, *[30] * 6, calls=30), [], id="falls-in-the-latest"),
        pytest.param(
            series(300, -300, *[30] * 8, calls=30), [], id="less-than-half-on-new-ground"
        ),
        pytest.param(
            series(100, -100, *[30] * 8, calls=30), ["blocks"], id="mostly-on-new-ground"
        ),
        pytest.param(series(*[8192] * 8, signal="USS"), ["USS"], id="pages"),
        pytest.param(series(*[4096] * 8, signal="USS"), [], id="a-page-per-round"),
        pytest.param(series(*[8192] * 9, 4097, signal="USS"), ["USS"], id="more-than-a-page"),
        pytest.param(series(*[8192] * 9, 4000, signal="USS"), [], id="not-a-page-in-one"),
        pytest.param(
            series(*[8192] * 8, signal="USS", calls=30), [], id="pages-below-the-floor"
        ),
        pytest.param(
            tuple(a_round(3, open_files=3, C_heap=0, blocks=12) for _ in range(8)),
            ["blocks", "open files"],
            id="two-of-three",
        ),
        pytest.param(
            (a_round(3, USS=0), *(a_round(3, USS=0, blocks=3) for _ in range(9))),
            [],
            id="not-read-in-every-round",
        ),
    ],
)
def test_leaking_rates(rounds, signals) -> None:
    """A leak grew in every late round, evenly, lastingly, and above earlier levels."""
    assert signals == [rate.signal for rate in leaking_rates(rounds)]


@pytest.mark.parametrize(
    ("rounds", "state", "calls", "reason"),
    [
        pytest.param(
            (),
            "undecided",
            0,
            "the first calls alone are too few to tell, " + STOPPED,
            id="none",
        ),
        pytest.param(
            series(*[3] * 6),
            "undecided",
            18,
            "18 calls are too few to tell, " + STOPPED,
            id="few",
        ),
        pytest.param(series(*[3] * 12), "leaking", 30, "", id="leaking"),
        pytest.param(
            series(9, 1, 12, 2, 9, 3, 8, 2, 9, 3),
            "undecided",
            30,
            "blocks moved by 0.333 to 4 a call, too unevenly to tell, " + STOPPED,
            id="uneven",
        ),
        pytest.param(
            tuple(a_round(3, blocks=by, open_files=2 * by) for by in (9, 1, 12, 2, 9) * 2),
            "undecided",
            30,
            "blocks moved by 0.333 to 4 a call, too unevenly to tell, " + STOPPED,
            id="two-uneven",
        ),
        pytest.param(
            series(*range(60, 20, -3), calls=30),
            "undecided",
            420,
            "blocks grew by less and less, but had not stopped, " + STOPPED,
            id="fading",
        ),
        pytest.param(
            tuple(a_round(30, blocks=by, open_files=by) for by in range(60, 20, -3)),
            "undecided",
            420,
            "blocks grew by less and less, but had not stopped, " + STOPPED,
            id="two-fading",
        ),
        pytest.param(
            series(*range(60, 0, -3), *[3] * 4, calls=30),
            "settling",
            720,
            "blocks grew by less and less, " + STOPPED,
            id="faded",
        ),
        pytest.param(
            series(*[0] * 5, 900, *[0] * 6, calls=30),
            "undecided",
            360,
            "blocks grew in steps, the last of them 180 calls before the end, " + STOPPED,
            id="a-late-step",
        ),
        pytest.param(
            series(9, 9, *[0, 1] * 5),
            "settling",
            36,
            "hardly anything was added in the last 30 calls, " + STOPPED,
            id="hardly-any",
        ),
        pytest.param(
            series(1, 0, 1, 0, 1, 0, 1, 0, 1, 1, signal="open files"),
            "undecided",
            30,
            "open files grew in steps, the last of them 0 calls before the end, " + STOPPED,
            id="as-much-as-its-floor",
        ),
        pytest.param(
            series(100, 10, 93, 20, 80, 30, 70, 30, 75, 20, 70, 20, calls=30),
            "leaking",
            240,
            "",
            id="uneven-but-never-by-less-than-the-floor",
        ),
    ],
)
def test_final(rounds, state, calls, reason) -> None:
    """A check that may not go on reports what it has found, and why it is not sure."""
    verdict = final(rounds, STOPPED)
    assert (state, calls, reason) == (verdict.state, verdict.calls, verdict.reason)
    assert verdict.rounds == rounds
    assert bool(verdict.rates) is (state == "leaking" or "unevenly" in reason)


@pytest.mark.parametrize(
    ("rounds", "signals"),
    [
        pytest.param(series(9, 90, 900, 9000, calls=1), ["blocks"], id="ever-more"),
        pytest.param(series(9, 90, 900, calls=1), [], id="three-rounds"),
        pytest.param(series(900, 0, 900, 900, 900, calls=1), [], id="not-in-all-rounds"),
        pytest.param(series(900, 900, 100, 50, calls=1), [], id="ever-less"),
        pytest.param(series(0, 0, 0, 9000, calls=1), [], id="once"),
    ],
)
def test_at_limit(rounds, signals) -> None:
    """Growth that used up its limit is a leak if it was there in all of the late rounds."""
    verdict = final(rounds, STOPPED, 6, at_limit=True)
    assert signals == [rate.signal for rate in verdict.rates]
    assert ("leaking" if signals else "undecided") == verdict.state
    assert final(rounds, STOPPED, 6).state == "undecided"
    for rate in verdict.rates:
        assert 0 < rate.low <= rate.per_call <= rate.high


def test_steps_of_a_table_that_is_full() -> None:
    """The table of a cache is doubled now and then until no entry is added any more."""
    sizes = (*[6] * 8, *[12] * 4, *[24] * 4, *[48] * 3)
    doubled = {3: 600, 7: 1200, 11: 2400, 15: 4800}

    def rounds(entries):
        return [
            a_round(n, blocks=3 * n * (at < entries), C_heap=doubled.get(at, 0))
            for at, n in enumerate(sizes)
        ]

    assert [rate.signal for rate in leaking_rates(rounds(0))] == ["C heap"]
    assert leaking_rates(rounds(12)) == []
    assert final(rounds(12), STOPPED).state == "undecided"


def test_steps_beside_a_cache_that_fills() -> None:
    """A buffer that grows goes on doing so when a cache beside it is full."""
    buffer = in_place(100, 8)
    rounds = [
        a_round(30, blocks=30 * (at < 12), C_heap=buffer(30 * at + 60) - buffer(30 * at + 30))
        for at in range(36)
    ]
    assert [rate.signal for rate in leaking_rates(rounds)] == ["C heap"]


@pytest.mark.parametrize(
    ("moved", "state"),
    [
        pytest.param((30, 25, 60, 22, 30, 95, 25, 28, 70, 24, 90, 30), "leaking", id="uneven"),
        pytest.param(
            (30, 25, 60, 22, 30, 95, 25, 28, 70, -30, 90, 30), "undecided", id="fell-once"
        ),
        pytest.param(
            (95, 60, 90, 70, 30, 60, 25, 30, 28, 24, 26, 22), "undecided", id="falling"
        ),
    ],
)
def test_the_smallest_round_decides(moved, state) -> None:
    """Uneven growth is a leak if even the smallest round grew by enough."""
    assert state == final(series(*moved, calls=10), STOPPED).state


@pytest.mark.parametrize(
    ("done", "size"),
    [(0, 3), (35, 3), (36, 6), (53, 6), (54, 9), (71, 9), (72, 12), (600, 100), (2000, 333)],
)
def test_next_size(done, size) -> None:
    """A round has a sixth of the calls before it, by threes while these are below twelve."""
    assert size == next_size(done)


def cached(size):
    """A cache that takes one entry per call."""
    return lambda calls: min(calls, size)


def pages(size):
    """So many bytes per call, in whole pages."""
    return lambda calls: 4096 * int(size * calls // 4096)


def pickled(calls):
    """A block per call at first, then one in ten, then none."""
    return min(calls, 40) + max(0, min(calls, 600) - 40) // 10


def ever_less(calls):
    """A rate of 0.38 that has fallen to 0.25 at the 350th call."""
    calls = min(calls, 1023)
    return 0.38 * calls - 0.13 * calls**2 / 700


def appended(calls):
    """A list grows in place: eight bytes per call, and an eighth more at times."""
    room = 0
    for items in range(calls + 1):
        if items > room:
            room = items + (items >> 3) + 6
    return 8 * room


def in_place(size, share):
    """A buffer that gets so many bytes per call, and one in so many more if it is full."""

    def level(calls):
        room = 0
        for used in range(size, size * calls + 1, size):
            if used > room:
                room = used + used // share + 6
        return room

    return level


def random_sizes(calls, summed=[]):  # noqa: B006  made once, the same for all
    """A block of another size in every call, with its header and rounded up."""
    if not summed:
        rng = Random(7)  # noqa: S311  a simulation
        sizes = (16 * (rng.randint(1, 3000) // 16 + 2) for _ in range(2000))
        summed.extend(accumulate(sizes, initial=0))
    return summed[calls]


@pytest.mark.parametrize(
    ("signal", "level", "cap", "states"),
    [
        pytest.param("blocks", lambda _: 0, 2000, "clean", id="nothing"),
        pytest.param("blocks", cached(64), 2000, "settling", id="cache-64"),
        pytest.param("blocks", cached(128), 2000, "settling", id="cache-128"),
        pytest.param("blocks", cached(512), 2000, "settling", id="cache-512"),
        pytest.param("blocks", cached(1024), 2000, "settling", id="cache-1024"),
        pytest.param("blocks", cached(64), 120, "settling", id="cache-64-in-120"),
        # the numbers alone do not show a cache: the search for the holder does
        pytest.param("blocks", cached(128), 120, "leaking", id="cache-128-in-120"),
        pytest.param("blocks", cached(512), 120, "leaking", id="cache-512-in-120"),
        pytest.param("blocks", cached(1024), 120, "leaking", id="cache-1024-in-120"),
        pytest.param("blocks", pickled, 2000, "settling", id="pickle"),
        pytest.param("blocks", pickled, 350, "settling", id="pickle-in-350"),
        pytest.param("blocks", pickled, 120, "settling", id="pickle-in-120"),
        # one block in eight calls, all in all
        pytest.param("blocks", ever_less, 2000, "clean", id="ever-less"),
        pytest.param("blocks", ever_less, 350, "undecided", id="ever-less-in-350"),
        pytest.param("blocks", lambda n: n % 10, 2000, "clean", id="sawtooth-10"),
        pytest.param("blocks", lambda n: n % 50, 2000, "clean", id="sawtooth-50"),
        pytest.param("blocks", lambda n: n % 10, 120, "clean", id="sawtooth-10-in-120"),
        pytest.param("blocks", lambda n: n % 50, 120, "settling", id="sawtooth-50-in-120"),
        pytest.param("blocks", lambda n: n // 3, 2000, "leaking", id="every-third"),
        pytest.param("blocks", lambda n: n // 3, 120, "leaking", id="every-third-in-120"),
        pytest.param("blocks", lambda n: n // 3, 40, "leaking", id="every-third-in-40"),
        pytest.param("blocks", lambda n: 245 * n, 40, "leaking", id="245-in-40"),
        pytest.param("blocks", lambda n: n * n, 2000, "leaking", id="each-adds-to-all"),
        pytest.param("blocks", lambda n: n * n, 120, "leaking", id="each-adds-to-all-in-120"),
        pytest.param("blocks", lambda n: n * n, 48, "leaking", id="each-adds-to-all-in-48"),
        pytest.param(
            "blocks", lambda n: min(n, 400) ** 2, 2000, "settling", id="faster-and-over"
        ),
        pytest.param("blocks", lambda n: n, 34, "leaking", id="one-in-34"),
        pytest.param("blocks", lambda n: n, 33, "undecided", id="one-in-33"),
        pytest.param("C heap", random_sizes, 2000, "leaking", id="random-size"),
        pytest.param("C heap", random_sizes, 120, "leaking", id="random-size-in-120"),
        pytest.param("C heap", random_sizes, 40, "undecided", id="random-size-in-40"),
        pytest.param("C heap", lambda n: 32 * n, 40, "leaking", id="sixteen-bytes"),
        pytest.param("C heap", appended, 2000, "settling", id="list-below-the-floor"),
        pytest.param("C heap", in_place(40, 8), 2000, "leaking", id="an-eighth-more"),
        pytest.param("C heap", in_place(100, 8), 2000, "leaking", id="an-eighth-more-of-more"),
        pytest.param("C heap", in_place(100, 1), 2000, "leaking", id="doubled"),
        pytest.param("C heap", in_place(100, 1), 350, "leaking", id="doubled-in-350"),
        pytest.param(
            "C heap", lambda n: 32_000 * ((n + 26) // 32), 2000, "leaking", id="every-32nd"
        ),
        pytest.param(
            "C heap", lambda n: 2**20 * ((n + 10) // 16), 120, "leaking", id="every-16th"
        ),
        pytest.param(
            "C heap", lambda n: in_place(100, 8)(min(n, 1000)), 2000, "settling", id="filled"
        ),
        pytest.param(
            "C heap", lambda n: in_place(100, 1)(min(n, 500)), 2000, "settling", id="table-full"
        ),
        pytest.param("C heap", lambda n: 310 * 1.2**n, 2000, "leaking", id="a-fifth-more"),
        pytest.param("USS", pages(80), 2000, "clean", id="creeping"),
        pytest.param("USS", pages(9.3 * 1024), 2000, "leaking", id="mapped"),
        pytest.param("USS", pages(9.3 * 1024), 40, "leaking", id="mapped-in-40"),
        pytest.param("open files", cached(5), 2000, "clean", id="pool-of-5"),
        pytest.param(
            "open files", lambda n: min(n // 3, 5), 40, "settling", id="pool-when-needed"
        ),
        pytest.param("open files", lambda n: n, 2000, "leaking", id="descriptor"),
        pytest.param("blocks", lambda n: 500 * (n > 4), 2000, "clean", id="imported-late"),
        pytest.param(
            "blocks", lambda n: 40 * math.log(1 + n / 5), 2000, "settling", id="logarithm"
        ),
        pytest.param("blocks", lambda n: 20 * math.sqrt(n), 2000, "settling", id="root"),
    ],
)
def test_series(signal, level, cap, states) -> None:
    """A series gets the verdict that a reader of its numbers would give."""
    verdict, calls = check(Series(signal, level), cap)
    assert states == verdict.state
    assert calls <= cap


@pytest.mark.parametrize(
    ("moved", "state"),
    [
        pytest.param(6, "leaking", id="as-expected"),
        pytest.param(5, "leaking", id="nearly"),
        pytest.param(2, "undecided", id="grew-with-the-readings"),
        pytest.param(0, "undecided", id="nothing"),
    ],
)
def test_confirmed(moved, state) -> None:
    """A rate from short rounds has to hold for a longer one."""
    verdict = final(series(*[3] * 8), STOPPED)
    assert verdict.state == "leaking"
    found = confirmed(verdict, a_round(6, blocks=moved))
    assert (state, 24 if state == "leaking" else 30) == (found.state, found.calls)
    assert (f"but by {moved} in 6 calls" in found.reason) is (state == "undecided")


@pytest.mark.parametrize(("moved", "state"), [(7, "leaking"), (6, "undecided")])
def test_confirmed_by_seven_tenths(moved, state) -> None:
    """Seven tenths of the growth that was expected are enough."""
    assert state == confirmed(final(series(*[3] * 8), STOPPED), a_round(10, blocks=moved)).state


def test_confirmed_by_the_first_signal() -> None:
    """The first of several signals has to grow in the longer round."""
    verdict = final(tuple(a_round(3, blocks=3, open_files=3) for _ in range(8)), STOPPED)
    assert confirmed(verdict, a_round(6, blocks=6, open_files=0)) == verdict
    assert confirmed(verdict, a_round(6, blocks=0, open_files=6)).state == "undecided"


@pytest.mark.parametrize(
    ("growths", "state"),
    [
        pytest.param([{"C heap": 70}, {"C heap": 100}] * 6, "leaking", id="seven-tenths"),
        pytest.param([{"C heap": 69}, {"C heap": 100}] * 6, "undecided", id="less-than-that"),
        pytest.param([{"C heap": 32}] * 12, "leaking", id="even"),
        pytest.param([{"C heap": 32}, {"C heap": 60}] * 6, "undecided", id="uneven"),
        pytest.param(
            [{"C heap": 144}, {"C heap": 147}, {"C heap": 144}, {"C heap": 600}] * 3,
            "leaking",
            id="steps",
        ),
        pytest.param(
            [{"C heap": 144}, {"C heap": 160}, {"C heap": 144}, {"C heap": 600}] * 3,
            "undecided",
            id="steps-beside-uneven-growth",
        ),
        pytest.param([{"C heap": 32, "blocks": 1}] * 6, "leaking", id="blocks"),
    ],
)
def test_growth_without_an_allocation(growths, state) -> None:
    """Uneven growth of the C heap alone, without an allocation that stays, is undecided."""
    rounds = tuple(
        a_round(3, **{signal: 3 * moved for signal, moved in growth.items()})
        for growth in growths
    )
    rates = tuple(Rate(signal=s, per_call=32, low=30, high=34) for s in growths[0])
    verdict = untraced(Verdict(state="leaking", calls=36, rates=rates, rounds=rounds))
    assert verdict.state == state
    assert ("no allocation was found that stays" in verdict.reason) == (state == "undecided")
