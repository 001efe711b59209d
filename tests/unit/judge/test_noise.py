"""Tests of how far apart readings of the same code may lie: a table for each number."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.imports import imports_may_explain, new_libraries
from pytest_memguard.judge.noise import (
    READINGS,
    allowed,
    assumed,
    margin,
    noise,
    noise_of_growth,
)
from pytest_memguard.model.baselines import BaselineEntry, FailRule
from pytest_memguard.sizes import KIB, MIB

SPREAD = 1_000_000


def entry(mib: float, **fields) -> BaselineEntry:
    """An entry with this peak; sizes of other fields are in bytes."""
    return BaselineEntry(peak=int(mib * MIB), growth=0, **fields)


@pytest.mark.parametrize(
    ("value", "metric", "expected"),
    [
        pytest.param(0, "rss", 512 * KIB, id="rss-nothing"),
        pytest.param(10 * MIB, "rss", 512 * KIB, id="rss-where-share-and-least-meet"),
        pytest.param(10 * MIB + 20, "rss", 512 * KIB + 1, id="rss-above-that"),
        pytest.param(100 * MIB, "rss", 5 * MIB, id="rss-a-twentieth"),
        pytest.param(0, "heap", 64 * KIB, id="heap-nothing"),
        pytest.param(100 * MIB, "heap", MIB, id="heap-a-hundredth"),
        pytest.param(100 * MIB, "python", MIB, id="python-as-heap"),
    ],
)
def test_assumed(value, metric, expected) -> None:
    """Of one reading a share is noise: more of resident memory than of exact counts."""
    assert expected == assumed(value, metric)


@pytest.mark.parametrize(
    ("before", "metric", "expected"),
    [
        pytest.param(entry(100), "rss", 5 * MIB, id="one-reading"),
        pytest.param(entry(100, spread=9 * MIB), "rss", 5 * MIB, id="spread-of-one-reading"),
        pytest.param(entry(100, ceiling=200 * MIB), "rss", 10 * MIB, id="of-its-ceiling"),
        pytest.param(entry(100, ceiling=50 * MIB), "rss", 5 * MIB, id="ceiling-below-the-peak"),
        pytest.param(entry(100, imports=1), "rss", 5 * MIB + 48 * KIB, id="one-import"),
        pytest.param(entry(100, imports=84), "heap", MIB + 84 * 48 * KIB, id="84-imports"),
    ],
)
def test_noise_of_one_reading(before, metric, expected) -> None:
    """One reading has the noise that is assumed, and more for each module it imported."""
    assert expected == noise(before, metric)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param(2, 2_159_574, id="two"),
        pytest.param(3, 1_272_002, id="three"),
        pytest.param(4, 957_017, id="four"),
        pytest.param(5, 789_767, id="five"),
        pytest.param(6, 789_767, id="six-count-as-five"),
    ],
)
def test_noise_of_several_readings(readings, expected) -> None:
    """The more readings a spread rests on, the less more another one may have."""
    before = entry(100, readings=readings, spread=SPREAD, imports=84)
    assert expected == noise(before, "rss")


@pytest.mark.parametrize(
    ("spread", "metric", "expected"),
    [
        pytest.param(0, "rss", 256 * KIB, id="rss-all-the-same"),
        pytest.param(0, "heap", 0, id="heap-all-the-same"),
        pytest.param(100 * KIB, "rss", 256 * KIB, id="less-than-the-mark-resolves"),
        pytest.param(100 * KIB, "heap", 80_872, id="heap-resolves-it"),
    ],
)
def test_noise_is_no_finer_than_the_mark(spread, metric, expected) -> None:
    """Resident memory is never known better than the kernel's mark is exact."""
    assert expected == noise(entry(100, readings=READINGS, spread=spread), metric)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(entry(10), 3 * MIB, id="three-arenas"),
        pytest.param(entry(60), 3 * MIB, id="where-both-meet"),
        pytest.param(entry(100), 5 * MIB, id="noise-of-the-peak"),
    ],
)
def test_noise_of_growth(before, expected) -> None:
    """Growth is known no better than three arenas of the interpreter, nor than the peak."""
    assert expected == noise_of_growth(before)


@pytest.mark.parametrize(
    ("share", "floor", "value", "expected"),
    [
        pytest.param(0.1, 0, 100 * MIB, 10 * MIB, id="share"),
        pytest.param(0.0, 2 * MIB, 100 * MIB, 2 * MIB, id="floor"),
        pytest.param(0.1, 2 * MIB, 100 * MIB, 10 * MIB, id="share-is-more"),
        pytest.param(0.1, 2 * MIB, 10 * MIB, 2 * MIB, id="floor-is-more"),
        pytest.param(0.1, 0, 19, 1, id="whole-bytes"),
    ],
)
def test_room(share, floor, value, expected) -> None:
    """A rule lets pass the larger of its share and its floor."""
    assert expected == margin(FailRule(kind="peak", share=share, floor=floor), value)


@pytest.mark.parametrize(
    ("before", "share", "expected"),
    [
        pytest.param(entry(100), 0.1, 110 * MIB, id="the-rule-is-more"),
        pytest.param(entry(100), 0.01, 105 * MIB, id="the-noise-is-more"),
        pytest.param(entry(100, ceiling=120 * MIB), 0.1, 132 * MIB, id="above-the-ceiling"),
        pytest.param(entry(100, ceiling=50 * MIB), 0.1, 110 * MIB, id="ceiling-below-the-peak"),
    ],
)
def test_allowed(before, share, expected) -> None:
    """Rule and noise do not add up: the larger counts, from where the peak may have been."""
    assert expected == allowed(before, FailRule(kind="peak", share=share, floor=2 * MIB))


def test_allowed_by_metric() -> None:
    """Of an exact count less is noise, so less is allowed."""
    rule = FailRule(kind="peak", share=0.001)
    assert allowed(entry(100), rule, "heap") == 101 * MIB


@pytest.mark.parametrize(
    ("was", "now", "growth", "expected"),
    [
        pytest.param(0, 0, 0, False, id="none"),
        pytest.param(9, 9, MIB, False, id="as-many-as-before"),
        pytest.param(9, 8, MIB, False, id="fewer-than-before"),
        pytest.param(0, 1, MIB, True, id="less-than-one-can-take"),
        pytest.param(0, 1, 16 * MIB + MIB // 2, True, id="as-much-as-one-can-take"),
        pytest.param(0, 1, 16 * MIB + MIB // 2 + 1, False, id="more-than-one-can-take"),
        pytest.param(3, 7, 18 * MIB, True, id="four-more"),
        pytest.param(3, 7, 18 * MIB + 1, False, id="more-than-four-can-take"),
        pytest.param(0, 122, 77 * MIB, True, id="many"),
    ],
)
def test_imports_may_explain(was, now, growth, expected) -> None:
    """Modules explain growth only where there are more of them, and only so much each."""
    before, after = entry(5, imports=was), entry(5, imports=now)
    assert expected is imports_may_explain(before, after, growth)


@pytest.mark.parametrize(
    ("imported", "on_record", "expected"),
    [
        pytest.param(["numpy", "pandas"], ["numpy"], ["pandas"], id="new"),
        pytest.param(["numpy"], ["numpy", "pandas"], [], id="loaded-then"),
        pytest.param(["pandas"], None, [], id="not-known"),
        pytest.param([], ["numpy"], [], id="imports-nothing"),
    ],
)
def test_new_libraries(imported, on_record, expected) -> None:
    """A library that was not loaded when the baseline was saved is not another test's."""
    assert expected == new_libraries(imported, on_record)
