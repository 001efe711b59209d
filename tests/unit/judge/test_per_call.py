"""Tests of the numbers per call: all calls show how much stays, a few show where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.growth_scales import is_uneven, rate_after
from pytest_memguard.judge.per_call import LINES, scaled_to_all_calls
from pytest_memguard.model.leak_sizes import bytes_per_call
from pytest_memguard.model.leaks import (
    Diagnosis,
    LeakLine,
    LeakReading,
    Rate,
    RetentionPath,
    Round,
    Signal,
    TypeGrowth,
    Verdict,
)

CALLS = 16
ROUNDS = 12


def rate(signal: Signal, per_call: float, spread: float = 0.0) -> Rate:
    """How fast a signal grows."""
    return Rate(signal=signal, per_call=per_call, low=per_call - spread, high=per_call + spread)


def leaking(rates: list[Rate], **moved: list[int]) -> Verdict:
    """A verdict with rounds of ten calls, in which signals moved by so much."""
    names: dict[str, Signal] = {"blocks": "blocks", "heap": "C heap", "pages": "USS"}
    rounds = tuple(
        Round(calls=10, growth=tuple((names[name], each[i]) for name, each in moved.items()))
        for i in range(ROUNDS if moved else 0)
    )
    return Verdict(state="leaking", calls=120, rates=tuple(rates), rounds=rounds)


def line(number: int, count: float, size: float, *, small: float = 0) -> LeakLine:
    """A line with so much per call; all that is small is Python's."""
    return LeakLine(
        file="app.py",
        line=number,
        function="put",
        count=round(CALLS * count),
        size=round(CALLS * size),
        of_python=round(CALLS * count) if small else 0,
        small=round(CALLS * small),
    )


def scaled(verdict: Verdict, *lines: LeakLine) -> tuple[float | None, list[float]]:
    """Bytes per call, and those of each line."""
    verdict, diagnosis = scaled_to_all_calls(verdict, Diagnosis(calls=CALLS, lines=lines))
    reading = LeakReading(verdict=verdict, diagnosis=diagnosis)
    return bytes_per_call(reading), [one.size / CALLS for one in diagnosis.lines]


def test_blocks_without_a_line_count_as_they_are() -> None:
    """Frames of the test runner that a traceback keeps are larger than what the test made."""
    diagnosis = Diagnosis(
        calls=CALLS,
        lines=(line(1, 4, 200, small=200),),
        unnamed=6 * CALLS,
        unnamed_small=6 * 250 * CALLS,
    )
    _, scaled = scaled_to_all_calls(leaking([rate("blocks", 12)]), diagnosis)
    assert scaled.per_call == 4 * 50 + 6 * 250 + 2 * 50


@pytest.mark.parametrize(
    ("blocks", "later", "note"),
    [
        ([30 + 3 * n for n in range(ROUNDS)], 8, "4 blocks at first, 6 at last"),
        ([30] * ROUNDS, 3, ""),
        ([30 + n for n in range(6)] + [30 + 6 - n for n in range(6)], 3.25, ""),
    ],
    ids=["rises", "steady", "up-and-down"],
)
def test_growth_that_rises_with_every_call(blocks, later, note) -> None:
    """A few calls after the rounds keep more than the rounds show, and a note says so."""
    verdict = leaking([rate("blocks", 4)], blocks=blocks)
    diagnosis = Diagnosis(calls=CALLS, lines=(line(1, 4, 200, small=200),))
    _, scaled = scaled_to_all_calls(verdict, diagnosis)
    assert any(note in text for text in scaled.notes) == bool(note)
    assert rate_after(verdict.rounds, "blocks", 64) == pytest.approx(later, rel=0.15)


@pytest.mark.parametrize(
    ("rates", "objects", "size", "per_call"),
    [
        pytest.param([rate("blocks", 5)], 2, 248, 248, id="more-than-lines"),
        pytest.param([rate("blocks", 5)], 2, 120, 190, id="less-than-lines"),
        pytest.param([rate("blocks", 5)], 6, 300, 190, id="more-objects-than-stay"),
        pytest.param([rate("blocks", 5)], 1, 600, 190, id="not-in-arenas"),
        pytest.param([rate("blocks", 5), rate("C heap", 90)], 2, 248, 280, id="c-heap"),
    ],
)
def test_bytes_of_objects(rates, objects, size, per_call) -> None:
    """Small objects that become more are part of what stays, whatever lines show of them."""
    grown = TypeGrowth(type="dict", count=objects * CALLS, size=size * CALLS)
    lines = (line(1, 5, 190, small=190),)
    diagnosis = Diagnosis(calls=CALLS, lines=lines, types=(grown,))
    assert per_call == scaled_to_all_calls(leaking(rates), diagnosis)[1].per_call


MORE = "each call keeps more than the one before"
RISING = [20_480 + 5_120 * n for n in range(ROUNDS)]


@pytest.mark.parametrize(
    ("rates", "moved", "notes"),
    [
        pytest.param(
            [rate("blocks", 4), rate("C heap", 6000)],
            {"blocks": [40] * ROUNDS, "heap": RISING},
            [f"{MORE}: 4.0 KiB at first, 7.5 KiB at last"],
            id="bytes-alone",
        ),
        pytest.param(
            [rate("blocks", 4), rate("C heap", 6000), rate("USS", 6000)],
            {"blocks": [30 + 3 * n for n in range(ROUNDS)], "heap": RISING, "pages": RISING},
            [f"{MORE}: 4 blocks at first, 6 at last; 4.0 KiB at first, 7.5 KiB at last"],
            id="both",
        ),
        pytest.param(
            [rate("USS", 6000)],
            {"pages": RISING},
            [f"{MORE}: 4.0 KiB at first, 7.5 KiB at last"],
            id="pages",
        ),
        pytest.param(
            [rate("blocks", 4)], {"blocks": [40] * ROUNDS, "heap": RISING}, [], id="no"
        ),
    ],
)
def test_bytes_that_rise_with_every_call(rates, moved, notes) -> None:
    """A note has the first and the last rate, and the verdict says that the rate rises."""
    verdict, found = scaled_to_all_calls(leaking(rates, **moved), Diagnosis(calls=CALLS))
    assert notes == list(found.notes)
    assert verdict.reason == ("rising" if notes else "")


@pytest.mark.parametrize(
    ("blocks", "uneven"),
    [
        ([30, 20] * 6, True),
        ([30, 27] * 6, False),
        ([30 + 3 * n for n in range(ROUNDS)], False),
        ([0] * ROUNDS, False),
    ],
    ids=["uneven", "nearly-even", "rises", "flat"],
)
def test_rounds_in_which_not_every_call_leaks(blocks, uneven) -> None:
    """Growth that rises with every call is no uneven growth."""
    rounds = leaking([rate("blocks", 2.5)], blocks=blocks).rounds
    assert is_uneven(rounds, "blocks") == uneven


def tables(number: int, size: float) -> LeakLine:
    """A line that adds so much per call to tables that were there before."""
    bytes_of_all = round(CALLS * size)
    return LeakLine(
        file="app.py",
        line=number,
        function="put",
        count=0,
        size=bytes_of_all,
        tables=2 * CALLS,
        in_tables=bytes_of_all,
    )


FLAT = [0] * ROUNDS


@pytest.mark.parametrize(
    ("count", "chunks", "interval"),
    [
        pytest.param(1, 32, (32, 36), id="nearly-all"),
        pytest.param(1, 35, (34, 36), id="within"),
        pytest.param(1, 16, (34, 36), id="half"),
        pytest.param(0.875, 32, (34, 36), id="not-of-each-call"),
    ],
)
def test_what_each_call_leaves_is_in_the_interval(count, chunks, interval) -> None:
    """The interval has the chunks that each call leaves, if they are nearly all."""
    one = replace(line(1, count, 5), chunks=CALLS * chunks)
    verdict, _ = scaled_to_all_calls(
        leaking([rate("C heap", 35, 1)]), Diagnosis(calls=CALLS, lines=(one,))
    )
    assert (verdict.rates[0].low, verdict.rates[0].high) == interval


@pytest.mark.parametrize(
    ("verdict", "lines", "per_call", "sizes"),
    [
        pytest.param(
            leaking([rate("blocks", 1)]), [line(1, 1, 24, small=24)], 24, [24], id="one-object"
        ),
        pytest.param(
            leaking([rate("blocks", 10), rate("C heap", 500)]),
            [line(1, 2, 100, small=80)],
            400 + 500,
            [100],
            id="small-blocks-that-no-line-shows-beside-large-ones",
        ),
        pytest.param(
            leaking([rate("blocks", 1)]),
            [line(1, 1.0625, 62, small=16)],
            61,
            [61],
            id="an-object-and-the-list-it-is-in",
        ),
        pytest.param(
            leaking([rate("blocks", 1)], blocks=[10] * ROUNDS, heap=[80] * ROUNDS),
            [line(1, 1.0625, 500_016, small=16)],
            23,
            [23],
            id="an-object-and-the-very-long-list-it-is-in",
        ),
        pytest.param(
            leaking([rate("C heap", 200)]), [line(1, 1 / 16, 63_000)], 200, [200], id="in-place"
        ),
        pytest.param(
            leaking([rate("C heap", 3017, 800), rate("USS", 2999, 10)]),
            [line(1, 1 / 16, 36_000)],
            2999,
            [2999],
            id="in-place-and-pages-know-better",
        ),
        pytest.param(
            leaking([rate("C heap", 4500, 1200)], heap=[0, 108_000, 0] * 4),
            [line(1, 1 / 16, 36_000)],
            3600,
            [3600],
            id="in-steps-of-which-the-last-ones-are-many",
        ),
        pytest.param(
            leaking([rate("USS", 2999)]), [line(1, 1 / 16, 36_000)], 2999, [2999], id="pages"
        ),
        pytest.param(
            leaking([rate("C heap", 1000)]), [line(1, 1 / 24, 300)], 1000, [1000], id="a-step"
        ),
        pytest.param(
            leaking([rate("C heap", 34)]),
            [replace(line(1, 1, 5), chunks=CALLS * 32)],
            34,
            [34],
            id="a-small-request",
        ),
        pytest.param(
            leaking([rate("C heap", 104)]),
            [replace(line(1, 1, 5), chunks=CALLS * 32)],
            104,
            [5],
            id="a-small-request-beside-what-no-line-shows",
        ),
        pytest.param(
            leaking([rate("C heap", 104)]),
            [line(1, 1, 24)],
            104,
            [24],
            id="not-all-scaled_to_all_calls",
        ),
        pytest.param(
            leaking([rate("blocks", 2), rate("C heap", 1016)]),
            [line(1, 2, 1048, small=48)],
            1064,
            [1048],
            id="small-and-large",
        ),
        pytest.param(
            leaking([rate("blocks", 0.25)]),
            [line(1, 0.5, 50, small=50)],
            25,
            [25],
            id="now-and-then",
        ),
        pytest.param(
            leaking([rate("blocks", 0.5)]),
            [line(1, 0.25, 25, small=25)],
            50,
            [50],
            id="now-and-then-too-few",
        ),
        pytest.param(
            leaking([rate("blocks", 2)]),
            [line(1, 8, 800, small=800)],
            200,
            [200],
            id="more-and-more",
        ),
        pytest.param(
            leaking([rate("blocks", 2)]),
            [line(1, 1, 100, small=100)],
            200,
            [100],
            id="a-block-that-no-line-shows",
        ),
        pytest.param(
            leaking([rate("blocks", 3), rate("USS", 25_000)]),
            [line(1, 3, 290, small=290)],
            25_000,
            [290],
            id="pages-of-another-allocator",
        ),
        pytest.param(
            leaking([rate("blocks", 3), rate("USS", 500)]),
            [line(1, 3, 290, small=290)],
            290,
            [290],
            id="pages-of-the-same",
        ),
        pytest.param(
            leaking([rate("C heap", 512)], blocks=FLAT, heap=[5120] * ROUNDS),
            [line(1, 1, 500, small=500)],
            512,
            [500],
            id="the-interpreter-does-not-count-it",
        ),
        pytest.param(
            leaking([rate("blocks", 1), rate("C heap", 1024)]),
            [line(1, 3, 300, small=300), line(2, 1, 800)],
            1124,
            [300, 800],
            id="it-counts-some-of-it",
        ),
        pytest.param(leaking([rate("blocks", 1)]), [], None, [], id="nothing-known"),
        pytest.param(leaking([rate("C heap", 64)]), [], 64, [], id="no-lines"),
        pytest.param(leaking([rate("USS", 900)]), [], 900, [], id="no-lines-but-pages"),
        pytest.param(leaking([rate("open files", 1)]), [], None, [], id="no-memory"),
    ],
)
def test_bytes_per_call(verdict, lines, per_call, sizes) -> None:
    """All calls show how much stays; lines are scaled to that, but no further."""
    known, found = scaled(verdict, *lines)
    assert known == (None if per_call is None else pytest.approx(per_call, rel=0.03))
    assert found == pytest.approx(sizes, rel=0.03)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        pytest.param([rate("blocks", 3240), rate("C heap", 71_600)], None, id="small-blocks"),
        pytest.param([rate("blocks", 3), rate("C heap", 71_600)], 71_600, id="heap"),
        pytest.param(
            [rate("blocks", 3240), rate("C heap", 71_600), rate("USS", 330_000)],
            330_000,
            id="blocks-of-unknown-sizes",
        ),
        pytest.param([rate("C heap", 71_600), rate("USS", 330_000)], 71_600, id="no-blocks"),
    ],
)
def test_bytes_that_nothing_explains(rates, expected) -> None:
    """Without a cause only pages show what Python's blocks take."""
    reading = LeakReading(verdict=leaking(rates))
    assert bytes_per_call(reading) == expected


PAGES = [300_000] * ROUNDS


@pytest.mark.parametrize(
    ("pages", "named"),
    [
        pytest.param(PAGES, True, id="in-every-round"),
        pytest.param([0 if i % 4 == 3 else 400_000 for i in range(ROUNDS)], True, id="in-most"),
        pytest.param([0 if i % 2 else 600_000 for i in range(ROUNDS)], False, id="in-half"),
        pytest.param([3_000_000 if i == 8 else 1 for i in range(ROUNDS)], False, id="once"),
        pytest.param([9_000 - 700 * i for i in range(ROUNDS)], False, id="less-and-less"),
        pytest.param([6_000] * ROUNDS, False, id="no-multiple"),
        pytest.param(FLAT, False, id="not-at-all"),
    ],
)
def test_pages_that_grow_in_most_rounds(pages, named) -> None:
    """Pages are named, and are the number per call, if they are a multiple of the rest."""
    verdict = leaking([rate("blocks", 3)], blocks=[30] * ROUNDS, pages=pages)
    verdict, diagnosis = scaled_to_all_calls(
        verdict, Diagnosis(calls=CALLS, lines=(line(1, 3, 400, small=400),))
    )
    assert [one.signal for one in verdict.rates] == ["blocks"] + ["USS"] * named
    expected = verdict.rates[-1].per_call if named else 400
    assert diagnosis.per_call == pytest.approx(expected)


@pytest.mark.parametrize(
    ("freed", "per_call"), [(0, 1_100), (40_000, 1_100), (60_000, 270), (10**6, 270)]
)
def test_pages_that_the_heap_holds_free(freed, per_call) -> None:
    """Free pages are gaps left by blocks that grew, not memory that stays."""
    verdict = leaking([rate("C heap", 270)], heap=[2_700] * ROUNDS, pages=[11_000] * ROUNDS)
    diagnosis = Diagnosis(calls=CALLS, lines=(line(1, 1, 270),))
    _, diagnosis = scaled_to_all_calls(verdict, diagnosis, freed)
    assert diagnosis.per_call == pytest.approx(per_call)


@pytest.mark.parametrize(
    ("heap", "shown", "sizes"),
    [
        pytest.param(3_000, 2_000, [2_000, 1_000], id="others-have-moved-since"),
        pytest.param(3_000, 9_000, [2_000, 1_000], id="many-moved-in-the-few-calls"),
        pytest.param(900, 9_000, [810, 90], id="less-than-the-others-have"),
    ],
)
def test_tables_have_what_others_have_not(heap, shown, sizes) -> None:
    """Which of many tables move in a few calls is chance; new blocks count as they are."""
    verdict = leaking([rate("blocks", 1), rate("C heap", heap)], heap=[10 * heap] * ROUNDS)
    per_call, found = scaled(verdict, tables(1, shown), line(2, 1, 1_000))
    assert per_call == heap
    assert sorted(found, reverse=True) == pytest.approx(sizes, abs=1)


def test_tables_that_did_not_move_before() -> None:
    """Bytes added to many tables count, though the C heap grows once in many calls."""
    verdict = leaking([rate("blocks", 1)], blocks=[10] * ROUNDS, heap=FLAT)
    per_call, found = scaled(verdict, tables(1, 9_000), line(2, 1, 16, small=16))
    assert (per_call, found) == (9_016, [9_000, 16])


def test_types_are_scaled_as_blocks_are() -> None:
    """Types are counted in the same few calls as lines."""
    types = (TypeGrowth(type="app.Row", count=4 * CALLS, size=400 * CALLS),)
    lines = (line(1, 4, 400, small=400),)
    _, diagnosis = scaled_to_all_calls(
        leaking([rate("blocks", 2)]), Diagnosis(calls=CALLS, lines=lines, types=types)
    )
    (growth,) = diagnosis.types
    assert (growth.count, growth.size) == (2 * CALLS, 200 * CALLS)


def test_not_too_many_lines() -> None:
    """The largest lines are enough, but all count."""
    lines = [line(n, 1, 100, small=100) for n in range(30)]
    known, found = scaled(leaking([rate("blocks", 30)]), *lines)
    assert known == pytest.approx(3000)
    assert len(found) == LINES
    diagnosis = Diagnosis(calls=CALLS, lines=tuple(lines))
    assert scaled_to_all_calls(leaking([rate("blocks", 30)]), diagnosis)[1].more_lines == 20


STEPS = [0, 0, 4000, 0, 0, 0, 0, 0, 8000, 0, 0, 0]
SLOW = [80, 90] * 6


@pytest.mark.parametrize(
    ("heap", "held", "per_call"),
    [
        pytest.param(STEPS, True, 32 + 133, id="a-table-that-doubles"),
        pytest.param(SLOW, True, 32 + 8.5, id="a-chain-of-blocks"),
        pytest.param([*SLOW[:9], 962_560, *SLOW[10:]], True, 32 + 8.5, id="one-step-alone"),
        pytest.param(FLAT, True, 32, id="nothing"),
        pytest.param([-x for x in STEPS], True, 32, id="less"),
        pytest.param([0] * 11 + [600], True, 32, id="hardly-anything"),
        pytest.param(STEPS, False, 32, id="nothing-holds-it"),
    ],
)
def test_what_a_holder_takes(heap, held, per_call) -> None:
    """A table grows in steps, too uneven for a verdict, which belong to what it holds."""
    path = RetentionPath(steps=("module app",), holder="app.CACHE") if held else None
    verdict = leaking([rate("blocks", 2)], blocks=[20] * ROUNDS, heap=heap)
    diagnosis = Diagnosis(calls=CALLS, lines=(line(1, 2, 32, small=32),), path=path)
    assert scaled_to_all_calls(verdict, diagnosis)[1].per_call == pytest.approx(per_call, abs=1)


@pytest.mark.parametrize(
    ("seen", "stay", "expected"),
    [
        pytest.param((16, 16, 26), 2.25, [1, 1, 0.25], id="one-line-replaces-older-blocks"),
        pytest.param((17, 3200), 53, [17 / 16, 53 - 17 / 16], id="more-with-each-call"),
        pytest.param((15, 40), 2, [15 / 16, 2 - 15 / 16], id="one-less"),
        pytest.param((32, 16), 1.5, [0.5, 1], id="one-line-shows-more-than-stays"),
        pytest.param((16, 16), 1.5, [0.75, 0.75], id="all-alike"),
        pytest.param((20, 40), 3, [1, 2], id="none-alike"),
        pytest.param((48, 40), 2, [2 * 48 / 88, 2 * 40 / 88], id="more-alike-than-stay"),
        pytest.param((16, 24), 2.5, [1, 1.5], id="as-seen"),
    ],
)
def test_lines_that_leave_as_many_in_each_call(seen, stay, expected) -> None:
    """Blocks that each call leaves are counted as seen; other lines take up the rest."""
    calls = 16
    lines = tuple(
        LeakLine(
            file="app.py",
            line=number,
            function="put",
            count=count,
            size=64 * count,
            of_python=count,
            small=64 * count,
        )
        for number, count in enumerate(seen)
    )
    types = tuple(TypeGrowth(type=f"app.T{n}", count=n, size=n) for n in seen)
    diagnosis = Diagnosis(calls=calls, lines=lines, types=types)
    _, diagnosis = scaled_to_all_calls(leaking([rate("blocks", stay)]), diagnosis)
    counts = {line.line: line.count / calls for line in diagnosis.lines}
    assert [counts[n] for n in range(len(seen))] == pytest.approx(expected, abs=0.04)
    assert diagnosis.per_call == pytest.approx(64 * sum(expected), rel=0.01)


@pytest.mark.parametrize("freed", [0, 10**7])
def test_pages_where_no_line_shows_the_size_of_blocks(freed) -> None:
    """Without lines, only pages show the size of Python's blocks."""
    rates = [rate("blocks", 1_454), rate("C heap", 38_000), rate("USS", 195_000)]
    moved = {"blocks": [14_540] * ROUNDS, "heap": [380_000] * ROUNDS}
    verdict = leaking(rates, **moved, pages=[1_950_000] * ROUNDS)
    _, diagnosis = scaled_to_all_calls(verdict, Diagnosis(calls=0), freed)
    assert diagnosis.per_call == pytest.approx(195_000)


@pytest.mark.parametrize(
    ("heap", "per_call"),
    [
        pytest.param([160_000] * ROUNDS, 64_000, id="moved-to-larger-blocks"),
        pytest.param([0] * ROUNDS, 128_000, id="of-another-allocator"),
    ],
)
def test_blocks_that_are_larger_than_what_stays(heap, per_call) -> None:
    """A list that is moved to a larger block grows by what the C heap grows by."""
    pages = [900_000 + 100_000 * (i % 2) for i in range(ROUNDS)]
    verdict = leaking(
        [rate("blocks", 2000), rate("USS", 95_000)],
        blocks=[20_000] * ROUNDS,
        heap=heap,
        pages=pages,
    )
    whole, _ = scaled(verdict, line(1, 2000, 128_000, small=48_000))
    assert whole == pytest.approx(per_call)
