"""Tests of lines of mem_alert, and of which level a process has reached."""

from __future__ import annotations

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.alert import level_reached, levels_left
from pytest_memguard.model.alerts import AlertLevel
from pytest_memguard.options.alert_levels import LINE, parse_line
from pytest_memguard.options.parsing import PARSERS
from pytest_memguard.sizes import GIB, MIB

WARNING = AlertLevel(size=GIB, severity="warning")
CRITICAL = AlertLevel(size=4 * GIB, severity="critical")


def test_line() -> None:
    """A line has a level for each severity."""
    assert parse_line(LINE) == (WARNING, CRITICAL)


@pytest.mark.parametrize(
    ("lines", "levels"),
    [
        pytest.param(["worker rss = 4GB critical", LINE[:24]], [WARNING, CRITICAL], id="lines"),
        pytest.param([" worker  rss=1 GiB warning "], [WARNING], id="spaces"),
        pytest.param(
            ["worker rss = 512 info"], [AlertLevel(size=512 * MIB, severity="info")], id="mib"
        ),
        pytest.param([], [], id="none"),
        pytest.param(
            ["run rss = 4GB critical", "worker fds = 1000 critical, 50 warning", LINE],
            [
                WARNING,
                CRITICAL,
                AlertLevel(signal="worker fds", size=50, severity="warning"),
                AlertLevel(signal="worker fds", size=1000, severity="critical"),
                AlertLevel(signal="run rss", size=4 * GIB, severity="critical"),
            ],
            id="signals",
        ),
    ],
)
def test_lines(lines, levels) -> None:
    """Levels of all lines are put in order; a bare number is MiB."""
    assert tuple(levels) == PARSERS["alert"](lines)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param(["rss = 1GB warning"], "'rss = 1GB warning' is not a line", id="subject"),
        pytest.param(
            ["worker rss"], "'worker rss' is not a line 'worker rss = 1GB", id="equals"
        ),
        pytest.param(
            ["worker rss = 1GB"], "'1GB' does not end in info, warning", id="severity"
        ),
        pytest.param(["worker rss = 1GB bad"], "'1GB bad' does not end in", id="word"),
        pytest.param(["worker rss = much info"], "'much' is not a size", id="size"),
        pytest.param(["worker rss = 0 info"], "every process reaches '0 info'", id="zero"),
        pytest.param(["worker rss = 1GB info,"], "'' does not end in", id="comma"),
        pytest.param(["worker rss = 2GB warning, 1GB critical"], "a larger size", id="order"),
        pytest.param(["worker rss = 1GB info", "worker rss = 2GB info"], "once", id="twice"),
        pytest.param(["worker pss = 1 info"], "worker fds, worker threads,", id="signal"),
        pytest.param(["worker fds = 1GB info"], "open files", id="count"),
        pytest.param(["worker fds = 0 info"], "every process reaches '0 info'", id="no-count"),
        pytest.param(["worker rss = 1GB info, 1GB warning"], "larger", id="equal-sizes"),
    ],
)
def test_bad_lines(lines, words) -> None:
    """Lines that make no sense are reported, each with its text."""
    with pytest.raises(ConfigError) as caught:
        PARSERS["alert"](lines)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("highest", "reached", "left"),
    [
        pytest.param(GIB - 1, None, (WARNING, CRITICAL), id="below"),
        pytest.param(GIB, WARNING, (CRITICAL,), id="first"),
        pytest.param(5 * GIB, CRITICAL, (), id="both-at-once"),
    ],
)
def test_reached(highest, reached, left) -> None:
    """The worst level that is reached is reported, and none of those below it later."""
    levels = (WARNING, CRITICAL)
    assert (reached, left) == (level_reached(levels, highest), levels_left(levels, highest))
