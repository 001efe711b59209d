"""Simulations of where levels step: hardly a false alarm, and nearly every step."""

from __future__ import annotations

import random

import pytest

from pytest_memguard.judge.change_points import find_steps
from pytest_memguard.sizes import MIB

NOISE = random.Random(7)  # noqa: S311  not for secrets


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
