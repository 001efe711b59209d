"""Tests of which stage and which lines grew."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.grown_parts import grown_lines, grown_stage
from pytest_memguard.model.baselines import LineEntry, StageEntry
from pytest_memguard.sizes import KIB

LEAST = 64 * KIB


def stages(**peaks: int) -> tuple[StageEntry, ...]:
    """Stages with these peaks; an underscore stands for the slash of a path."""
    return tuple(
        StageEntry(path=path.replace("_", "/"), peak=peak, delta=0)
        for path, peak in peaks.items()
    )


def line(function: str, size: int, number: int = 1, file: str = "app.py") -> LineEntry:
    """A line of a function."""
    return LineEntry(file=file, function=function, line=number, size=size)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(stages(), stages(), None, id="no-stages"),
        pytest.param(stages(a=9 * LEAST), stages(), None, id="gone"),
        pytest.param(stages(a=10), stages(a=10 + LEAST - 1), None, id="hardly"),
        pytest.param(stages(a=10), stages(a=10 + LEAST), (10, "a"), id="by-the-least"),
        pytest.param(stages(), stages(a=LEAST - 1), None, id="new-and-small"),
        pytest.param(stages(), stages(a=LEAST), (None, "a"), id="new"),
        pytest.param(stages(a=9 * LEAST), stages(a=LEAST), None, id="less"),
        pytest.param(
            stages(a=9 * LEAST, b=0), stages(a=10 * LEAST, b=3 * LEAST), (0, "b"), id="most"
        ),
        pytest.param(
            stages(a=0, b=0), stages(a=3 * LEAST, b=3 * LEAST), (0, "a"), id="the-first-of-two"
        ),
        pytest.param(
            stages(a=0, a_b=0),
            stages(a=1_000_000, a_b=900_000),
            (0, "a/b"),
            id="inner-grew-nearly-as-much",
        ),
        pytest.param(
            stages(a=0, a_b=0),
            stages(a=1_000_000, a_b=899_999),
            (0, "a"),
            id="inner-grew-less",
        ),
        pytest.param(
            stages(a=0, a_b=0, a_b_c=0),
            stages(a=LEAST, a_b_c=LEAST, a_b=LEAST),
            (0, "a/b/c"),
            id="innermost",
        ),
    ],
)
def test_grown_stage(before, now, expected) -> None:
    """The stage that grew most is named, with what it was; the innermost if several did."""
    found = grown_stage(before, now)
    if found is not None:
        was, stage = found
        found = None if was is None else was.peak, stage.path
    assert expected == found


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param((), (line("f", LEAST),), [], id="not-known-before"),
        pytest.param((line("f", LEAST),), (), [], id="not-known-now"),
        pytest.param(
            (line("f", 10),), (line("f", 10 + LEAST),), [("f", 10, 10 + LEAST)], id="least"
        ),
        pytest.param((line("f", 10),), (line("f", 9 + LEAST),), [], id="hardly"),
        pytest.param((line("f", 10),), (line("g", LEAST),), [("g", None, LEAST)], id="new"),
        pytest.param((line("f", 10),), (line("g", LEAST - 1),), [], id="new-and-small"),
        pytest.param(
            (line("f", 10),),
            (line("f", 10 + LEAST, file="b.py"),),
            [("f", None, 10 + LEAST)],
            id="of-another-file",
        ),
        pytest.param(
            (line("f", 10, 1), line("f", 20, 2)),
            (line("f", 30, 5), line("f", LEAST, 6)),
            [("f", 30, 30 + LEAST)],
            id="added-up",
        ),
        pytest.param(
            (line("a", 9 * LEAST), line("b", LEAST)),
            (line("a", 11 * LEAST), line("b", 4 * LEAST)),
            [("b", LEAST, 4 * LEAST), ("a", 9 * LEAST, 11 * LEAST)],
            id="largest-growth-first",
        ),
    ],
)
def test_grown_lines(before, now, expected) -> None:
    """Lines that grew are added up by function, the largest growth first."""
    found = [
        (line.function, None if was is None else was.size, line.size)
        for was, line in grown_lines(before, now)
    ]
    assert expected == found


def test_only_some_lines() -> None:
    """Of many lines that grew the five that grew most are shown."""
    now = [line(f"f{number}", (number + 1) * LEAST) for number in range(8)]
    shown = [found.function for _, found in grown_lines((line("g", 1),), now)]
    assert shown == ["f7", "f6", "f5", "f4", "f3"]


def test_number_of_the_largest() -> None:
    """Lines of one function add up under the number of the largest."""
    now = (line("f", LEAST, 5), line("f", 2 * LEAST, 7), line("f", LEAST, 9))
    ((_, found),) = grown_lines((line("g", 1),), now)
    assert (found.line, found.size) == (7, 4 * LEAST)
