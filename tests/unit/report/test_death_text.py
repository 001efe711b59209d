"""Tests of the words for the death of a test's process."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.model.deaths import Death
from pytest_memguard.model.flights import Ending
from pytest_memguard.report.death_text import (
    death_sentence,
    death_text,
    deaths_line,
    short_cause,
)
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


def death(cause, ending=None, **values) -> Death:
    """A death in the call, after half a second."""
    ending = ending or Ending(signal=6)
    return Death(cause=cause, phase="call", ending=ending, seconds=0.5, **values)


CRASH = death("crashed", Ending(signal=11), level=60 * MIB, used=3 * MIB)
EXIT = death("exited", Ending(exit_code=3))
LIMIT = death("limit", limit=50 * MIB, level=60 * MIB, used=51 * MIB, where="the marker")
TIMEOUT = death("timeout", timeout=0.5, where="the marker on TestLoading")
KILLED = death("killed", Ending(signal=9, oom_kills=0, oom_source="cgroup v2"))
OOM = death("out-of-memory", Ending(signal=9, oom_kills=1, oom_source="cgroup v2"))


@pytest.mark.parametrize(
    ("died", "sentence", "short"),
    [
        pytest.param(
            CRASH,
            "crashed (SIGSEGV) in its call, after 500.0 ms at up to 63.0 MiB (+3.0 MiB)",
            "crashed (SIGSEGV)",
            id="crash",
        ),
        pytest.param(
            EXIT,
            "ended itself with exit code 3 in its call, after 500.0 ms",
            "exited (3)",
            id="exit",
        ),
        pytest.param(
            LIMIT,
            "was stopped at its limit of 50.0 MiB (the marker) in its call, after 500.0 ms "
            "at up to 111.0 MiB (+51.0 MiB)",
            "limit",
            id="limit",
        ),
        pytest.param(
            TIMEOUT,
            "was stopped at its timeout of 0.5 s (the marker on TestLoading) in its call, "
            "after 500.0 ms",
            "timeout",
            id="timeout",
        ),
        pytest.param(
            KILLED,
            "was killed by SIGKILL (no out-of-memory kills, cgroup v2) in its call, after "
            "500.0 ms",
            "killed (SIGKILL)",
            id="killed",
        ),
        pytest.param(
            OOM,
            "was killed by the kernel, out of memory (SIGKILL; 1 out-of-memory kill, cgroup "
            "v2) in its call, after 500.0 ms",
            "out-of-memory",
            id="kernel",
        ),
    ],
)
def test_words(died, sentence, short) -> None:
    """A death is described in one sentence, and in two words for a column."""
    assert (sentence, short) == (death_sentence(died), short_cause(died))


def test_stack() -> None:
    """The failure shows numbers and the Python stack under its headline."""
    text = death_text(death("crashed", Ending(signal=11), stack=("t.py:1 in f",)))
    assert text.splitlines() == [
        "crashed (SIGSEGV) in its call (test-died)",
        "after 500.0 ms",
        "Python stack, the innermost call first:",
        "  t.py:1 in f",
    ]


@pytest.mark.parametrize(
    ("deaths", "line"),
    [
        pytest.param([], "", id="none"),
        pytest.param([EXIT], "the process of 1 test died: 1 exited (3)", id="one"),
        pytest.param(
            [LIMIT, CRASH, LIMIT],
            "the processes of 3 tests died: 2 limit, 1 crashed (SIGSEGV)",
            id="three",
        ),
    ],
)
def test_line(deaths, line) -> None:
    """The end of the run has one line for all deaths, the most frequent cause first."""
    assert line == deaths_line(deaths)
