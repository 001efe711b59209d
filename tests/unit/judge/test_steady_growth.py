"""Growth under a steady load: what is a leak, what a plateau, and what is not decided."""

from __future__ import annotations

import math
import random

import pytest

from pytest_memguard.judge.steady_growth import signal_growth
from pytest_memguard.sizes import KIB, MIB


def trace(levels, seconds=0.1):
    """Points at regular times."""
    return [(number * seconds, level) for number, level in enumerate(levels)]


def memory(shape, count=60):
    """Levels of a program of 50 MiB, given what it has in MiB above that by share of time."""
    return [50 * MIB + shape(number / count) * MIB for number in range(count)]


@pytest.mark.parametrize(
    ("shape", "state", "doubt"),
    [
        pytest.param(lambda _: 0, "flat", "", id="constant"),
        pytest.param(lambda t: 20 * t, "growing", "", id="leak"),
        pytest.param(lambda t: 1.5 * t, "growing", "", id="small-leak"),
        pytest.param(lambda t: int(12 * t), "growing", "", id="leak-by-arenas"),
        pytest.param(lambda t: 0.3 * t, "flat", "", id="below-the-floor"),
        pytest.param(lambda t: -9 * t, "flat", "", id="falling"),
        pytest.param(lambda t: 20 * min(1, 4 * t), "plateau", "", id="cache-full-early"),
        pytest.param(lambda t: 20 * min(1, t / 0.6), "plateau", "", id="cache-full-late"),
        pytest.param(lambda t: 20 * min(1, t / 0.8), "undecided", "slowing", id="just-full"),
        pytest.param(
            lambda t: 20 * (1 - math.exp(-4 * t)), "undecided", "slowing", id="fades-out"
        ),
        pytest.param(lambda t: 8 * (t > 0.5), "flat", "", id="one-step-in-the-tail"),
        pytest.param(lambda t: 8 * (t > 0.1), "plateau", "", id="one-step-in-the-warm-up"),
        pytest.param(lambda t: 10 * math.sin(40 * t), "flat", "", id="waves"),
        pytest.param(lambda t: 20 * (5 * t % 1), "flat", "", id="sawtooth"),
        pytest.param(
            lambda t: 6 * (10 * t % 1) + 20 * t, "undecided", "uneven", id="sawtooth-that-rises"
        ),
    ],
)
def test_shapes(shape, state, doubt) -> None:
    """A leak is what still grows at the end as fast as before; a plateau is none."""
    found = signal_growth(trace(memory(shape)), "rss")
    assert (state, doubt) == (found.state, found.doubt)


def test_the_rate_is_that_of_the_leak() -> None:
    """Growth per hour is exact for a straight line, and lies within its interval."""
    found = signal_growth(trace(memory(lambda t: 6 * t)), "rss")  # 6 MiB in 6 seconds
    assert pytest.approx(found.per_hour, rel=0.01) == 3600 * MIB
    assert found.low <= found.per_hour <= found.high
    assert found.rate_text().startswith("+3,600 MiB per hour (95 %: +3,")


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        pytest.param([5] * 60, "flat", id="constant"),
        pytest.param([5 + number // 4 for number in range(60)], "growing", id="leak"),
        pytest.param([5 + number % 3 for number in range(60)], "flat", id="open-and-closed"),
        pytest.param([min(12, 5 + number) for number in range(60)], "plateau", id="pool"),
        pytest.param([5] * 50 + [6] * 10, "flat", id="one-more"),
    ],
)
def test_counts(levels, state) -> None:
    """Descriptors and threads are judged alike; one more is no growth."""
    assert state == signal_growth(trace(levels), "fds").state


@pytest.mark.parametrize(
    ("warm_up", "state"),
    [
        pytest.param(None, "undecided", id="a-third"),
        pytest.param(0, "undecided", id="none"),
        pytest.param(4.9, "plateau", id="named"),
    ],
)
def test_warm_up(warm_up, state) -> None:
    """A warm-up that the user names is left out, whatever the default is."""
    levels = memory(lambda t: 20 * min(1, t / 0.8), 100)
    points = trace(levels, 0.06)
    assert state == signal_growth(points, "rss", warm_up).state


@pytest.mark.parametrize("count", [0, 1, 2, 16, 23])
def test_too_few_samples(count) -> None:
    """A short watch has no verdict, however steep its trace."""
    found = signal_growth(trace(memory(lambda t: 99 * t, count)), "rss")
    assert (found.state, found.doubt) == ("undecided", "short")


def test_samples_at_one_moment() -> None:
    """Samples without any time between them have no rate, and no verdict."""
    assert signal_growth([(1.0, float(n * MIB)) for n in range(40)], "rss").state == "undecided"


@pytest.mark.parametrize("count", [30, 120])
@pytest.mark.parametrize(
    ("noise", "walk"),
    [
        pytest.param(1, 0, id="noise"),
        pytest.param(10, 0, id="much-noise"),
        pytest.param(0, 3, id="random-walk"),
        pytest.param(1, 3, id="both"),
    ],
)
def test_false_alarms(count, noise, walk) -> None:
    """A series that moves by chance alone grows at most once in a hundred times."""
    chance = random.Random(7)  # noqa: S311  the same each time
    alarms = 0
    for _ in range(400):
        level, levels = 50.0, []
        for _ in range(count):
            level += chance.gauss(0, walk) / math.sqrt(count)
            levels.append((level + chance.gauss(0, noise)) * MIB)
        alarms += signal_growth(trace(levels), "rss").state == "growing"
    assert alarms <= 4


def test_levels_of_any_size() -> None:
    """The floor is a share of a large level: page caches of 8 GiB move by megabytes."""
    levels = [8 * 1024 * MIB + number * 128 * KIB for number in range(60)]
    assert signal_growth(trace(levels), "rss").state == "flat"
