"""Tests of what saving stores: the same again where nothing changed, the new where it did."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_memguard.judge.merging import merge_baselines, merged, round_up, rounded
from pytest_memguard.judge.noise import READINGS, noise
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    Fill,
    LineEntry,
    StageEntry,
)
from pytest_memguard.sizes import KIB, MIB

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.11"
)


def entry(mib: float, **fields) -> BaselineEntry:
    """An entry with this peak; sizes of other fields are in bytes."""
    return BaselineEntry(peak=int(mib * MIB), growth=fields.pop("growth", 0), **fields)


def saved(*mib: float) -> BaselineEntry:
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


@pytest.mark.parametrize(
    ("value", "least", "expected"),
    [
        pytest.param(0, KIB, 0, id="nothing"),
        pytest.param(1, KIB, KIB, id="a-byte"),
        pytest.param(KIB, KIB, KIB, id="the-least"),
        pytest.param(KIB + 1, KIB, 2 * KIB, id="more-than-the-least"),
        pytest.param(126 * KIB + 1, KIB, 127 * KIB, id="below-a-hundred-and-twenty-eight"),
        pytest.param(128 * KIB - 1, KIB, 128 * KIB, id="the-last-with-that-step"),
        pytest.param(128 * KIB + 1, KIB, 130 * KIB, id="the-first-with-twice-the-step"),
        pytest.param(256 * KIB + 1, KIB, 260 * KIB, id="and-twice-that"),
        pytest.param(8 * MIB + 1, 64 * KIB, 8 * MIB + 128 * KIB, id="resident"),
    ],
)
def test_round_up(value, least, expected) -> None:
    """The step is the least, and doubles whenever 128 of it are reached."""
    assert expected == round_up(value, least)


def test_rounded() -> None:
    """Every number is rounded; what is exact to the byte is rounded less."""
    raw = BaselineEntry(
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
    assert rounded(raw) == BaselineEntry(
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


@pytest.mark.parametrize(
    ("mib", "expected"),
    [
        pytest.param(0.5, 0, id="below-the-peak"),
        pytest.param(1, 0, id="the-peak"),
        pytest.param(1.25, 1.25, id="above"),
    ],
)
def test_rounded_ceiling(mib, expected) -> None:
    """An upper bound is one only above the peak, of a test as of a stage."""
    top = int(mib * MIB)
    one = StageEntry(path="a", peak=MIB, delta=0, ceiling=top)
    found = rounded(entry(1, ceiling=top, stages=(one,)))
    assert (expected * MIB,) * 2 == (found.ceiling, found.stages[0].ceiling)


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


def test_a_bounded_reading_leaves_an_exact_one() -> None:
    """A reading that is only bounded does not widen or replace an exact one it allows."""
    exact = entry(20, readings=2)
    assert exact == merged(exact, entry(1, ceiling=40 * MIB))
    assert exact == merged(exact, entry(20, ceiling=40 * MIB))
    assert merged(exact, entry(20.5, ceiling=40 * MIB)) == entry(20.5, readings=3)
    assert merged(exact, entry(30, ceiling=40 * MIB)) == entry(30, ceiling=40 * MIB)


def test_bounds_narrow_each_other() -> None:
    """Two readings that are only bounded leave what both allow."""
    first, second = entry(10, ceiling=30 * MIB), entry(15, ceiling=25 * MIB)
    both = merged(first, second)
    assert both == entry(15, ceiling=25 * MIB, readings=2)


@pytest.mark.parametrize(
    ("peak", "readings"),
    [
        pytest.param(1_000_000, 2, id="the-same"),
        pytest.param(1_000_000 + 64 * KIB, 2, id="as-much-more-as-noise"),
        pytest.param(1_000_001 + 64 * KIB, 1, id="a-byte-more-than-that"),
        pytest.param(990_000 - 64 * KIB, 2, id="as-much-less-than-the-lowest-as-noise"),
        pytest.param(989_999 - 64 * KIB, 1, id="a-byte-less-than-that"),
    ],
)
def test_level(peak, readings) -> None:
    """A reading counts beside those stored as long as noise explains it, to the byte."""
    before = BaselineEntry(peak=1_000_000, growth=0, spread=10_000)
    assert readings == merged(before, BaselineEntry(peak=peak, growth=0), "heap").readings


@pytest.mark.parametrize(
    ("peak", "kept"),
    [
        pytest.param(100 * KIB, True, id="the-same"),
        pytest.param(100 * KIB + 8087, True, id="as-noise-explains"),
        pytest.param(100 * KIB + 8088, False, id="a-byte-more"),
        pytest.param(90 * KIB - 8087, True, id="as-noise-explains-below"),
        pytest.param(90 * KIB - 8088, False, id="a-byte-less"),
    ],
)
@pytest.mark.parametrize("readings", [READINGS, READINGS + 4])
def test_stillness(peak, kept, readings) -> None:
    """An entry of enough readings is left alone by what noise explains, to the byte."""
    before = BaselineEntry(peak=100 * KIB, growth=0, spread=10 * KIB, readings=readings)
    now = BaselineEntry(peak=peak, growth=0)
    assert kept == (merged(before, now, "heap") == before)


def test_readings_of_several_processes() -> None:
    """A reading that is one of several widens the spread by theirs, and counts as many."""
    now = entry(10, spread=MIB // 2, readings=2)
    assert merged(entry(10), now) == entry(10, spread=MIB // 2, readings=3)


def imported(*, peak=5 * MIB, growth=2 * MIB, a=MIB, b=None) -> BaselineEntry:
    """A reading with one import, and with a stage or two."""
    paths = {"a": a} if b is None else {"a": a, "b": b}
    parts = tuple(StageEntry(path=path, peak=size, delta=0) for path, size in paths.items())
    return BaselineEntry(peak=peak, growth=growth, stages=parts, imports=1)


@pytest.mark.parametrize(
    ("what", "was"),
    [
        pytest.param("peak", 5 * MIB, id="peak"),
        pytest.param("growth", 2 * MIB, id="growth"),
        pytest.param("a", MIB, id="stage"),
        pytest.param("b", 0, id="new-stage"),
    ],
)
def test_imports_may_explain_anything(what, was) -> None:
    """A reading with an import is stored once anything grew by more than an import may take."""
    before, most = replace(imported(), imports=0), was + 16 * MIB + MIB // 2
    assert merged(before, imported(**{what: most})) == before
    assert merged(before, imported(**{what: most + 1})) != before


def test_growth() -> None:
    """The growth of a test is kept as it is as long as noise explains it."""
    stored = entry(20, growth=MIB)
    assert merged(stored, entry(20, growth=int(1.2 * MIB))).growth == MIB
    assert merged(stored, entry(20, growth=4 * MIB)).growth == MIB
    assert merged(stored, entry(20, growth=5 * MIB)).growth == 5 * MIB
    assert merged(stored, entry(20, growth=-3 * MIB)).growth == -3 * MIB


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


@pytest.mark.parametrize(
    ("peak", "kept"),
    [
        pytest.param(MIB + 8087, True, id="as-noise-explains"),
        pytest.param(MIB + 8088, False, id="a-byte-more"),
        pytest.param(MIB - 522 * KIB, True, id="less-by-twice-the-resolution-and-the-spread"),
        pytest.param(MIB - 522 * KIB - 1, False, id="a-byte-less"),
    ],
)
def test_stage_to_the_byte(peak, kept) -> None:
    """A stage is kept as long as noise explains it: more as for the test, less than that."""
    before = entry(2, spread=10 * KIB, readings=READINGS, stages=stages(a=1))
    now = entry(2, stages=(StageEntry(path="a", peak=peak, delta=0),))
    assert kept == (merged(before, now, "heap").stages == before.stages)


def test_each_stage_by_itself() -> None:
    """A stage that changed takes its place, and leaves the others as they were."""
    before = entry(20, stages=stages(a=5, b=6))
    after = merged(before, entry(20, stages=stages(a=5.1, b=9)))
    assert after.stages == stages(a=5, b=9)


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
        (100.0, 100.5, 110.0),
        (105.0, 105.0, 105.0),
        (20.0, 12.0, 20.0),
        (20.0, 11.9, 12.0),
        (200.0, 180.0, 200.0),
        (200.0, 179.0, 180.0),
        (0.0, 241.0, 250.0),
        (0.0, 0.0123, 0.02),
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
    """Saving one reading over and over leads to an entry that no longer changes."""
    stored = merged(entry(first, imports=few), entry(second, imports=more))
    for _ in range(READINGS):
        stored = merged(stored, entry(second, imports=more))
    assert merged(stored, entry(second, imports=more)) == stored


def test_baselines() -> None:
    """Merging keeps what only one side has, and merges what both have."""
    elsewhere = replace(PLACE, python="3.12")
    old = Baseline(environments={PLACE: {"a": entry(1), "b": entry(2)}})
    new = Baseline(
        environments={PLACE: {"b": entry(50), "c": entry(3)}, elsewhere: {"a": entry(7)}}
    )
    assert merge_baselines(old, new) == Baseline(
        environments={
            PLACE: {"a": entry(1), "b": entry(50), "c": entry(3)},
            elsewhere: {"a": entry(7)},
        }
    )


FILLS = (Fill(holder="data.table", size=28 * MIB),)
COLD = entry(0, cold=28 * MIB, fills=FILLS)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(None, COLD, 28 * MIB, id="first"),
        pytest.param(COLD, entry(0, cold=29 * MIB, fills=FILLS), 28 * MIB, id="as-before"),
        pytest.param(COLD, entry(0, cold=40 * MIB, fills=FILLS), 40 * MIB, id="more"),
        pytest.param(COLD, entry(0, cold=10 * MIB, fills=FILLS), 10 * MIB, id="less"),
        pytest.param(COLD, entry(0.5), 28 * MIB, id="not-measured-cold"),
        pytest.param(entry(5), COLD, 28 * MIB, id="measured-for-the-first-time"),
        pytest.param(entry(5), entry(5, cold=5 * MIB), 0, id="no-colder"),
        pytest.param(COLD, entry(0, cold=MIB // 2), 0, id="fills-no-longer"),
    ],
)
def test_cold(before, now, expected) -> None:
    """The cold peak stays within the noise, and where a run has not measured it."""
    found = merged(before, now)
    assert found.cold == pytest.approx(expected, rel=0.02)
    assert bool(found.fills) is bool(expected)


@pytest.mark.parametrize("flag", ["measured_cold", "measured_together"])
def test_measured(flag) -> None:
    """A merged baseline knows the fills of an environment if all parts do."""
    here, nowhere = {flag: frozenset({PLACE})}, {flag: frozenset()}
    old = Baseline(environments={PLACE: {"a": COLD}}, **here)
    new = Baseline(environments={PLACE: {"b": COLD}}, **here)
    assert getattr(merge_baselines(old, new), flag) == {PLACE}
    assert getattr(merge_baselines(Baseline(), new), flag) == {PLACE}
    assert getattr(merge_baselines(replace(old, **nowhere), new), flag) == set()
    assert getattr(merge_baselines(old, replace(new, **nowhere)), flag) == set()


def test_loaded_libraries() -> None:
    """A merged baseline knows the libraries of an environment if all parts do."""
    old = Baseline(environments={PLACE: {"a": COLD}}, loaded={PLACE: frozenset({"numpy"})})
    new = Baseline(environments={PLACE: {"b": COLD}}, loaded={PLACE: frozenset({"pandas"})})
    assert merge_baselines(old, new).loaded == {PLACE: {"numpy", "pandas"}}
    assert merge_baselines(Baseline(), new).loaded == new.loaded
    assert merge_baselines(replace(old, loaded={}), new).loaded == {}
    assert merge_baselines(old, replace(new, loaded={})).loaded == {}


def test_what_tests_fill_together() -> None:
    """Other tests fill another part of each thing; of the same tests the most counts."""
    old = Baseline(
        environments={PLACE: {"a": COLD}}, filled={PLACE: (Fill(holder="data.a", size=3),)}
    )
    new = Baseline(
        environments={PLACE: {"b": COLD}},
        filled={PLACE: (Fill(holder="data.b", size=4), Fill(holder="data.a", size=2))},
    )
    both = (Fill(holder="data.a", size=5), Fill(holder="data.b", size=4))
    assert merge_baselines(old, new).filled == {PLACE: both}
    again = replace(new, environments=old.environments)
    most = (Fill(holder="data.b", size=4), Fill(holder="data.a", size=3))
    assert merge_baselines(old, again).filled == {PLACE: most}
    assert merge_baselines(Baseline(), new).filled == new.filled
