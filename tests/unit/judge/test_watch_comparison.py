"""Growth before and after a fix."""

from __future__ import annotations

import re

import pytest

from pytest_memguard.judge.watch_comparison import growth_changes
from pytest_memguard.report.watch_verdict import comparison_lines
from pytest_memguard.sizes import MIB
from pytest_memguard.watches import SignalGrowth, WatchGrowth


def growth(state, rate=0, doubt="") -> WatchGrowth:
    """A verdict on memory, with a rate in MiB per hour."""
    rss = SignalGrowth(
        signal="rss",
        state=state,
        per_hour=rate * MIB,
        low=(rate - 1) * MIB,
        high=(rate + 1) * MIB,
        doubt=doubt,
    )
    return WatchGrowth(state=state, signals=(rss,))


@pytest.mark.parametrize(
    ("before", "after", "text", "is_open"),
    [
        pytest.param(
            growth("growing", 60), growth("flat"), "flattened: rss grew by", 0, id="flat"
        ),
        pytest.param(
            growth("growing", 60),
            growth("plateau"),
            "and has reached a plateau",
            0,
            id="plateau",
        ),
        pytest.param(
            growth("growing", 60), growth("growing", 60.5), "still growing: rss", 1, id="same"
        ),
        pytest.param(
            growth("growing", 60),
            growth("growing", 5),
            "growing more slowly: rss",
            1,
            id="less",
        ),
        pytest.param(
            growth("growing", 60), growth("growing", 99), "growing faster: rss", 1, id="more"
        ),
        pytest.param(
            growth("growing", 60),
            growth("undecided", doubt="short"),
            "not known: rss grew by .*; now too few samples",
            1,
            id="undecided",
        ),
        pytest.param(growth("flat"), growth("growing", 5), "new: rss grows by", 1, id="new"),
        pytest.param(
            growth("growing", 60), WatchGrowth(state="flat"), "not known: rss", 1, id="unread"
        ),
    ],
)
def test_changes(before, after, text, is_open) -> None:
    """Only growth that has surely ended counts as flattened."""
    changes = growth_changes(before, after)
    assert [bool(is_open)] == [change.is_open for change in changes]
    (line,) = comparison_lines(changes, "old.json")
    assert line.startswith("Against old.json: ")
    assert re.search(text, line)


def test_nothing_grew() -> None:
    """Where nothing grew and nothing grows, the comparison says so."""
    assert growth_changes(growth("flat"), growth("plateau")) == []
    assert comparison_lines([], "x") == ["Against x: nothing grew, or grows"]
