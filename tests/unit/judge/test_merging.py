"""Tests of what saving stores: the same again where nothing changed, the new where it did."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_memguard.baselines import Baseline, Entry, LineEntry, Place, StageEntry
from pytest_memguard.judge.merging import merge_baselines, merged, round_up, rounded
from pytest_memguard.judge.noise import READINGS, noise
from pytest_memguard.units import KIB, MIB

PLACE = Place(system="Linux", machine="x86_64", implementation="CPython", python="3.11")


def entry(mib: float, **fields) -> Entry:
    """An entry with this peak; sizes of other fields are in bytes."""
    return Entry(peak=int(mib * MIB), growth=fields.pop("growth", 0), **fields)


def saved(*mib: float) -> Entry:
    """The entry after these readings were saved one after the other."""
    stored = None
    for number in mib:
        stored = merged(stored, entry(number))
    assert stored is not None
    return stored


@given(st.integers(0, 2**50))
def test_rounded_up(value) -> None:
    """A rounded number is not smaller, and hardly larger."""
    up = round_up(value, 64 * KIB)
    assert value <= up < value + max(64 * KIB, value / 60)
    assert up % (64 * KIB) == 0
    assert round_up(up, 64 * KIB) == up


def test_rounded() -> None:
    """Every number is rounded; what is exact to the byte is rounded less."""
    raw = Entry(
        peak=10 * MIB + 1,
        growth=-70 * KIB,
        ceiling=12 * MIB + 1,
        spread=1,
        readings=99,
        stages=(StageEntry(path="a", peak=MIB + 1, delta=-MIB - 1, ceiling=2 * MIB + 1),),
        lines=(LineEntry(file="f", function="g", line=3, size=3 * MIB + 100),),
        leak=123.456,
        imports=7,
    )
    assert rounded(raw) == Entry(
        peak=10 * MIB + 128 * KIB,
        growth=-64 * KIB,
        ceiling=12 * MIB + 128 * KIB,
        spread=64 * KIB,
        readings=READINGS,
        stages=(
            StageEntry(path="a", peak=MIB + 64 * KIB, delta=-MIB, ceiling=2 * MIB + 64 * KIB),
        ),
        lines=(LineEntry(file="f", function="g", line=3, size=3 * MIB),),
        leak=130.0,
        imports=7,
    )
    assert rounded(raw, "heap").growth == -70 * KIB
    assert rounded(raw, "heap").peak == 10 * MIB + 128 * KIB
    assert rounded(entry(0.5, ceiling=1), "heap") == entry(0.5)


def test_first() -> None:
    """The first reading is stored as it is, but for rounding."""
    assert merged(None, entry(20)) == entry(20)


def test_saving_again_changes_less_and_less() -> None:
    """Readings that noise explains are counted up to a few, then the entry keeps still."""
    stored, kept = None, []
    for _ in range(10):
        stored = merged(stored, entry(20.05))
        kept.append(stored)
    assert [one.readings for one in kept] == [1, 2, 3, 4, 5, 5, 5, 5, 5, 5]
    assert len(set(kept[READINGS - 1 :])) == 1
    assert {one.peak for one in kept} == {kept[0].peak}
    assert {one.spread for one in kept} == {0}


def test_still_entry_is_kept_by_noise() -> None:
    """Once it rests on enough readings, noise does not change an entry at all."""
    stored = saved(20, 20.3, 20.1, 20.2, 20.4)
    for mib in (20, 20.5, 19.8, 20.25):
        assert merged(stored, entry(mib)) == stored


def test_spread() -> None:
    """The spread is that of the readings, and the peak the highest."""
    stored = saved(20, 20.75, 20.5)
    assert (stored.peak, stored.spread, stored.readings) == (20.75 * MIB, 0.75 * MIB, 3)


@given(st.lists(st.floats(49, 51), min_size=1, max_size=12))
def test_readings_lie_within_the_record(numbers) -> None:
    """None of the first readings lies outside the record, but for rounding."""
    first = numbers[:READINGS]
    stored = saved(*first)
    for mib in first:
        lowest = stored.peak - stored.spread - stored.peak / 60
        assert lowest <= int(mib * MIB) <= stored.peak


def test_several_saves_narrow() -> None:
    """Saving readings that lie close together narrows what noise lets pass."""
    once, often = saved(100), saved(100, 100.1, 100, 100.1, 100.05)
    assert noise(often, "rss") < noise(once, "rss")


@pytest.mark.parametrize("mib", [40, 10], ids=["more", "less"])
def test_real_change(mib) -> None:
    """A reading that noise does not explain takes the entry's place."""
    assert entry(mib) == merged(saved(20, 20.1, 20.2), entry(mib))


def test_warm_replaces_cold() -> None:
    """A reading without the imports replaces one that had to pay for them."""
    cold, warm = entry(25, imports=122, leak=5.0), entry(5)
    assert merged(cold, warm) == replace(warm, leak=5.0)
    assert merged(cold, replace(warm, leak=0.0)) == replace(warm, leak=0.0)


def test_cold_does_not_replace_warm() -> None:
    """A reading with more imports is stored only if they cannot be all of it."""
    warm, cold = entry(5, readings=3), entry(25, imports=122)
    assert merged(warm, cold) == warm
    assert merged(warm, entry(90, imports=1)) == entry(90, imports=1)


def test_exact_replaces_bounds() -> None:
    """An exact reading replaces one that was only bounded."""
    assert entry(12) == merged(entry(10, ceiling=30 * MIB), entry(12))


def test_bounds_tell_little() -> None:
    """A reading that is only bounded does not widen or replace an exact one it allows."""
    exact = entry(20, readings=2)
    assert exact == merged(exact, entry(1, ceiling=40 * MIB))
    assert merged(exact, entry(20.5, ceiling=40 * MIB)).peak == 20.5 * MIB
    assert merged(exact, entry(30, ceiling=40 * MIB)) == entry(30, ceiling=40 * MIB)


def test_bounds_narrow_each_other() -> None:
    """Two readings that are only bounded leave what both allow."""
    first, second = entry(10, ceiling=30 * MIB), entry(15, ceiling=25 * MIB)
    both = merged(first, second)
    assert (both.peak, both.ceiling, both.spread) == (15 * MIB, 25 * MIB, 0)


def test_growth() -> None:
    """What a test leaves behind is kept as it is as long as noise explains it."""
    stored = entry(20, growth=MIB)
    assert merged(stored, entry(20, growth=int(1.2 * MIB))).growth == MIB
    assert merged(stored, entry(20, growth=5 * MIB)).growth == 5 * MIB


def stages(**mib: float) -> tuple[StageEntry, ...]:
    """Stages with these peaks."""
    return tuple(
        StageEntry(path=path, peak=int(size * MIB), delta=0) for path, size in mib.items()
    )


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        pytest.param(stages(a=5.1, b=6), True, id="noise"),
        pytest.param(stages(a=9, b=6), False, id="one-grew"),
        pytest.param(stages(a=5), False, id="one-less"),
        pytest.param(stages(b=6, a=5), False, id="other-order"),
    ],
)
def test_stages(now, kept) -> None:
    """Stages are kept as they are as long as they are the same and noise explains them."""
    before = entry(20, stages=stages(a=5, b=6))
    after = merged(before, entry(20, stages=now))
    assert after.stages == (before.stages if kept else rounded(entry(20, stages=now)).stages)


def test_lines() -> None:
    """Lines are added where there were none, kept with the entry, and go with it."""
    ones = (LineEntry(file="f", function="g", line=1, size=MIB),)
    others = (LineEntry(file="f", function="h", line=1, size=MIB),)
    assert merged(entry(20), entry(20, lines=ones)).lines == ones
    assert merged(entry(20, lines=ones), entry(20, lines=others)).lines == ones
    assert merged(entry(20, lines=ones), entry(90)).lines == ()


@pytest.mark.parametrize(
    ("was", "now", "then"),
    [
        (None, None, None),
        (None, 0.0, 0.0),
        (100.0, None, 100.0),
        (100.0, 95.0, 100.0),
        (100.0, 105.0, 110.0),
        (100.0, 0.0, 0.0),
        (0.0, 5.0, 5.0),
        (0.0, 216.4, 220.0),
    ],
)
def test_leak(was, now, then) -> None:
    """A leak is kept where none was looked for, and where it hardly moved."""
    assert then == merged(entry(20, leak=was), entry(20, leak=now)).leak
    assert then == merged(entry(20, leak=was), entry(90, leak=now)).leak


@given(st.floats(0, 500), st.floats(0, 500), st.integers(0, 3), st.integers(0, 3))
def test_the_same_again_is_kept(first, second, few, more) -> None:
    """Saving the same reading over and over comes to rest, whatever was there before."""
    stored = merged(entry(first, imports=few), entry(second, imports=more))
    for _ in range(READINGS):
        stored = merged(stored, entry(second, imports=more))
    assert merged(stored, entry(second, imports=more)) == stored


def test_baselines() -> None:
    """Merging keeps what only one side has, and merges what both have."""
    elsewhere = replace(PLACE, python="3.12")
    old = Baseline(places={PLACE: {"a": entry(1), "b": entry(2)}})
    new = Baseline(places={PLACE: {"b": entry(50), "c": entry(3)}, elsewhere: {"a": entry(7)}})
    assert merge_baselines(old, new) == Baseline(
        places={
            PLACE: {"a": entry(1), "b": entry(50), "c": entry(3)},
            elsewhere: {"a": entry(7)},
        }
    )
