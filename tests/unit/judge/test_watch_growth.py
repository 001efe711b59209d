"""One verdict from all signals of a program, and from all of its lives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.watch_growth import growth_of_watch
from pytest_memguard.sizes import MIB
from pytest_memguard.watches import Life, WatchTrace


def watched(*lives, fds=None):
    """Traces of processes one after another, in MiB, and the processes."""
    seconds, numbers, rss = [], [], []
    found = []
    for number, levels in enumerate(lives):
        start = len(seconds) * 0.1
        found.append(Life(pid=100 + number, command="x", start=start, end=start))
        for level in levels:
            seconds.append(len(seconds) * 0.1)
            numbers.append(number)
            rss.append(level * MIB)
        found[-1] = Life(pid=100 + number, command="x", start=start, end=seconds[-1])
    signals = {"rss": tuple(rss), "fds": tuple(fds or [4] * len(rss))}
    trace = WatchTrace(
        seconds=tuple(seconds), lives=tuple(numbers), cpu=tuple(seconds), levels=signals
    )
    return trace, found


FLAT, RISING, SHORT = [50] * 40, [50 + n / 4 for n in range(40)], [50] * 5
SLOWING = [50 + 20 * min(1, n / 32) for n in range(40)]


@pytest.mark.parametrize(
    ("lives", "state", "pid"),
    [
        pytest.param([FLAT], "flat", 100, id="one"),
        pytest.param([RISING], "growing", 100, id="grows"),
        pytest.param([RISING, RISING], "growing", 101, id="grows-after-a-restart-too"),
        pytest.param([RISING, FLAT], "growing", 100, id="grew-before-the-restart"),
        pytest.param([FLAT, SHORT], "flat", 100, id="restarted-at-the-end"),
        pytest.param([SHORT, FLAT], "flat", 101, id="restarted-at-the-start"),
        pytest.param([FLAT, [90] * 40], "flat", 101, id="higher-after-the-restart"),
        pytest.param([FLAT, SLOWING], "undecided", 101, id="undecided-at-last"),
        pytest.param([SHORT, SHORT], "undecided", 101, id="too-short"),
        pytest.param([], "undecided", 0, id="never-seen"),
    ],
)
def test_lives(lives, state, pid) -> None:
    """Each process is judged alone; one that grows decides, otherwise the latest."""
    found = growth_of_watch(*watched(*lives), None)
    assert (state, pid) == (found.state, found.pid)


@pytest.mark.parametrize(
    ("ended", "last", "state"),
    [
        pytest.param(True, [1], "growing", id="seen-while-it-ended"),
        pytest.param(True, [30, 1], "growing", id="seen-twice"),
        pytest.param(True, [], "growing", id="not-seen"),
        pytest.param(False, [1], "flat", id="it-lives-and-fell"),
    ],
)
def test_the_end_of_a_process_is_no_fall(ended, last, state) -> None:
    """The memory that a process gives up when it ends says nothing of its growth."""
    trace, (life,) = watched(RISING[:30] + last)
    life = replace(life, ended=ended)
    assert growth_of_watch(trace, [life], None).state == state


def test_a_count_that_grows_decides() -> None:
    """Descriptors that are not closed are a leak, although memory is flat."""
    found = growth_of_watch(*watched(FLAT, fds=list(range(40))), None)
    assert found.state == "growing"
    assert [one.signal for one in found.growing] == ["fds"]
    assert str(found).startswith("growing: fds +36,000 per hour")


def test_a_count_without_a_verdict_decides_nothing() -> None:
    """Connections come and go; memory that is flat stays the verdict."""
    fds = [4 + (n * 7 % 5) + n // 6 for n in range(40)]
    found = growth_of_watch(*watched(FLAT, fds=fds), None)
    assert found.of("fds").state in {"undecided", "growing"}
    assert ("growing" if found.growing else "flat") == found.state


def test_a_span() -> None:
    """A stage is judged by its own time alone."""
    trace, lives = watched(FLAT + RISING)
    assert growth_of_watch(trace, lives, None, 0.0, 3.9).state == "flat"
    assert growth_of_watch(trace, lives, None, 4.0, 7.9).state == "growing"


def test_memory_that_cannot_be_read() -> None:
    """Without memory there is no verdict, and the text says so."""
    trace, lives = watched(FLAT)
    blind = WatchTrace(
        seconds=trace.seconds,
        lives=trace.lives,
        cpu=trace.cpu,
        levels={"fds": trace.levels["fds"]},
    )
    found = growth_of_watch(blind, lives, None)
    assert (found.state, found.doubt) == ("undecided", "unread")
