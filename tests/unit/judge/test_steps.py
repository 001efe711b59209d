"""Tests of where levels step: series a person would judge the same, and simulations."""

from __future__ import annotations

import random

import pytest

from pytest_memguard.judge.steps import find_steps
from pytest_memguard.units import MIB

NOISE = random.Random(7)  # noqa: S311  not for secrets
FLAT = [20.1, 20.0, 20.2, 20.0, 20.1, 20.1, 20.0, 20.2, 20.1, 20.0, 20.1, 20.2]
UP = [value + 5 for value in FLAT]


def steps_of(series) -> list[tuple[int, float, float]]:
    """Where a series of MiB steps, from which level to which."""
    found = find_steps([value * MIB for value in series])
    return [
        (step.at, round(step.before / MIB, 1), round(step.after / MIB, 1)) for step in found
    ]


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([20, 40], [], id="two"),
        pytest.param([20, 20, 20, 40, 40, 40, 40], [], id="seven-are-too-few"),
        pytest.param([20] * 4 + [40] * 4, [(4, 20, 40)], id="eight-that-are-plain"),
        pytest.param([40] * 4 + [20] * 5, [(4, 40, 20)], id="down"),
        pytest.param([20, 24, 21, 23, 30, 26, 29, 25], [], id="eight-that-are-not"),
        pytest.param([0] * 5 + [8] * 5, [(5, 0, 8)], id="from-nothing"),
        pytest.param([0] * 20, [], id="all-zero"),
        pytest.param(FLAT, [], id="flat"),
        pytest.param(FLAT + UP, [(12, 20.1, 25.1)], id="a-step"),
        pytest.param(FLAT + UP + FLAT, [(12, 20.1, 25.1), (24, 25.1, 20.1)], id="up-and-down"),
        pytest.param(
            FLAT + UP + [v + 9 for v in FLAT],
            [(12, 20.1, 25.1), (24, 25.1, 29.1)],
            id="two-steps",
        ),
        pytest.param([*FLAT, *FLAT, *UP[:4]], [(24, 20.1, 25.1)], id="four-after"),
        pytest.param([*FLAT, *FLAT, *UP[:2]], [], id="two-after-may-be-strays"),
        pytest.param([*FLAT, 90, *FLAT], [], id="a-stray"),
        pytest.param([*FLAT, 90, *FLAT, 2, *FLAT], [], id="strays"),
        pytest.param(
            [*FLAT[:6], 90, *FLAT[6:], *UP[:5], 1, *UP[5:]],
            [(13, 20.1, 25.1)],
            id="a-step-among-strays",
        ),
        pytest.param([v + 0.9 * (at >= 6) for at, v in enumerate(FLAT)], [], id="below-a-MiB"),
        pytest.param([200 + 9 * (at >= 6) for at in range(12)], [], id="below-five-percent"),
        pytest.param([0.1] * 9 + [0.5] * 9, [], id="five-times-very-little"),
        pytest.param([20, 30] * 12, [], id="to-and-fro"),
    ],
)
def test_steps(series, expected) -> None:
    """Levels that stay are found, with their medians; strays and small changes are not."""
    assert expected == steps_of(series)


def test_thresholds_can_be_set() -> None:
    """What counts as small is the caller's to say."""
    series = [100.0] * 8 + [103.0] * 8
    assert find_steps(series, share=0.05, floor=0) == ()
    (step,) = find_steps(series, share=0.02, floor=0)
    assert (step.at, round(step.share, 9)) == (8, 0.03)


def test_the_answer_is_always_the_same() -> None:
    """The shuffles are the same ones in every run."""
    series = made(30, 0.05, step_at=20)
    assert find_steps(series) == find_steps(series)


def made(size, noise, *, step_at=None, kind="gauss", strays=0.03) -> list[float]:
    """A series around 50 MiB, 15 % more from the step on, with strays of a third or thrice."""
    values = []
    for at in range(size):
        level = 50 * MIB * (1.15 if step_at is not None and at >= step_at else 1)
        scatter = NOISE.gauss(0, noise)
        if kind == "modes":  # as resident memory does: one of two values
            scatter = 5 * noise if NOISE.random() < 0.3 else 0.0
        stray = NOISE.choice((1 / 3, 3)) if NOISE.random() < strays else 1
        values.append(level * (1 + scatter) * stray)
    return values


@pytest.mark.parametrize(
    ("kind", "noise", "size", "most"),
    [
        pytest.param("gauss", 0.02, 30, 1, id="quiet"),
        pytest.param("gauss", 0.1, 12, 2, id="short"),
        pytest.param("gauss", 0.1, 20, 2, id="noisy"),
        pytest.param("modes", 0.02, 20, 2, id="two-modes"),
    ],
)
def test_false_alarms(kind, noise, size, most) -> None:
    """Series without a step are called stepped in hardly more than one of a hundred cases."""
    NOISE.seed(11)
    series = [made(size, noise, kind=kind) for _ in range(100)]
    assert sum(bool(find_steps(values)) for values in series) <= most


@pytest.mark.parametrize(
    ("noise", "size", "step_at", "least"),
    [
        pytest.param(0.01, 20, 10, 19, id="quiet"),
        pytest.param(0.03, 20, 12, 18, id="usual"),
        pytest.param(0.01, 25, 20, 17, id="five-after"),
    ],
)
def test_power(noise, size, step_at, least) -> None:
    """A step of 15 % is found within one commit, strays or not."""
    NOISE.seed(13)
    found = [find_steps(made(size, noise, step_at=step_at)) for _ in range(20)]
    assert sum(any(abs(step.at - step_at) <= 1 for step in steps) for steps in found) >= least
