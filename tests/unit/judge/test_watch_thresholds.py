"""Thresholds of a watch: how they are written, and when they are reached."""

from __future__ import annotations

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.watch_thresholds import (
    ThresholdStates,
    parse_duration,
    parse_thresholds,
)
from pytest_memguard.sizes import GIB, MIB
from pytest_memguard.watch_levels import levels_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rss=8GB", [("rss", 8 * GIB, 0)], id="size"),
        pytest.param("rss=200", [("rss", 200 * MIB, 0)], id="mib"),
        pytest.param("rss = 8GB / 5min", [("rss", 8 * GIB, 300)], id="rate"),
        pytest.param("fds=10/1h", [("fds", 10, 3600)], id="rate-of-a-count"),
        pytest.param(
            "fds=1000,connections=100,threads=200,children=20",
            [
                ("fds", 1000, 0),
                ("connections", 100, 0),
                ("threads", 200, 0),
                ("children", 20, 0),
            ],
            id="several",
        ),
    ],
)
def test_lists(text, expected) -> None:
    """A list has signals with limits, sizes or counts, within a time or at any."""
    found = parse_thresholds(text, "warn", "--warn")
    assert expected == [(one.signal, one.limit, one.seconds) for one in found]
    assert text.split(",")[0].strip() == found[0].text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is not a threshold", id="empty"),
        pytest.param("rss", "is not a threshold", id="no-limit"),
        pytest.param("swap=1GB", "signals are rss, fds, threads", id="no-such-signal"),
        pytest.param("rss=8 bananas", "is not a size", id="no-size"),
        pytest.param("fds=1.5", "is not a number of fds", id="no-count"),
        pytest.param("fds=-1", "is not a number of fds", id="negative"),
        pytest.param("rss=0", "a limit of 0 is always reached", id="zero"),
        pytest.param("rss=1GB/soon", "is not a duration", id="no-time"),
        pytest.param("rss=1GB/0", "is not a duration", id="no-time-at-all"),
        pytest.param("rss=1GB,", "is not a threshold", id="comma-at-the-end"),
    ],
)
def test_bad_lists(text, words) -> None:
    """Bad lines are refused, with where they were set and what would be right."""
    with pytest.raises(ConfigError, match=f"^--critical: .*{words}"):
        parse_thresholds(text, "critical", "--critical")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        (90, 90),
        (0.5, 0.5),
        ("90s", 90),
        ("100 S", 100),
        ("5min", 300),
        ("1.5 h", 5400),
        ("1d", 86_400),
    ],
)
def test_durations(text, seconds) -> None:
    """A duration is a number of seconds, or has a unit."""
    assert seconds == parse_duration(text, "--duration")


@pytest.mark.parametrize(
    "text", ["", "soon", "5 weeks", "-1", True, None, "1e3", "999d", "nan"]
)
def test_bad_durations(text) -> None:
    """Anything else is refused."""
    with pytest.raises(ConfigError, match=r"^--duration: .* is not a duration"):
        parse_duration(text, "--duration")


def reached(thresholds, levels, exact=None) -> list[list[str]]:
    """Return the thresholds that each reading reaches, one a second."""
    states = ThresholdStates(parse_thresholds(thresholds, "warn", "--warn"))
    return [
        [
            threshold.text
            for threshold, _ in states.reached(
                float(at), level, lambda level=level: exact or level
            )
        ]
        for at, level in enumerate(levels)
    ]


def rss(*sizes):
    """Readings of so many MiB."""
    return [levels_of({"rss": size * MIB, "fds": size}) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "at"),
    [
        pytest.param([99, 100, 101, 150], [1], id="once"),
        pytest.param([100, 95, 100], [0], id="not-again-close-below"),
        pytest.param([100, 80, 100], [0, 2], id="again-after-a-fall"),
        pytest.param([1, 2], [], id="never"),
    ],
)
@pytest.mark.parametrize("threshold", ["rss=100MB", "fds=100"])
def test_levels(threshold, sizes, at) -> None:
    """A level is reached once, and again only after a fall well below it."""
    found = reached(threshold, rss(*sizes))
    assert at == [number for number, texts in enumerate(found) if texts]


@pytest.mark.parametrize(
    ("sizes", "at"),
    [
        pytest.param([50] * 9, [], id="high-and-flat"),
        pytest.param([5, 7, 9, 11, 13, 15, 17], [5], id="ten-in-five-seconds"),
        pytest.param([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], [], id="ten-in-ten"),
        pytest.param([5, 15, 15, 15, 15, 15, 15, 15, 15, 25], [1, 9], id="two-jumps"),
    ],
)
def test_rates(sizes, at) -> None:
    """A rate is growth above the lowest level within the time."""
    found = reached("rss=10MB/5s", rss(*sizes))
    assert at == [number for number, texts in enumerate(found) if texts]


def test_memory_is_read_exactly_before_an_alarm() -> None:
    """A quick reading may count shared memory several times; an exact one decides."""
    assert reached("rss=100MB", rss(120, 130), exact=rss(60)[0]) == [[], []]
    assert reached("rss=100MB", rss(120, 130)) == [["rss=100MB"], []]


def test_unread_signals_reach_nothing() -> None:
    """A signal that cannot be read is none of zero."""
    assert reached("connections=1", rss(5)) == [[]]


def test_another_process_begins_anew() -> None:
    """After a restart a threshold may be reached again at once."""
    states = ThresholdStates(parse_thresholds("rss=9MB,rss=3MB/10s", "warn", "x"))
    first, second = rss(1, 10)
    assert states.reached(0, first, lambda: first) == []
    assert len(states.reached(1, second, lambda: second)) == 2
    states.forget()
    assert [one.text for one, _ in states.reached(2, second, lambda: second)] == ["rss=9MB"]


def test_a_long_rate_takes_little_memory() -> None:
    """A rate over a day keeps some hundred readings, not one for each sample."""
    states = ThresholdStates(parse_thresholds("rss=9GB/1d", "warn", "x"))
    for at in range(4_000):
        level = rss(at // 1000)[0]
        states.reached(at * 60.0, level, lambda level=level: level)
    assert len(states._states[0]._recent) <= 302
