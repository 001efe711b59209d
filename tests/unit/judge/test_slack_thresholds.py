"""Tests of the slack that a measurement tolerates."""

from __future__ import annotations

from math import inf

import pytest

from pytest_memguard.judge.slack_thresholds import (
    FOR_STORED_PEAKS,
    IGNORED_SHARE,
    RSS_RESOLUTION,
    TRACKER_SHARE,
    SlackThresholds,
    ignored_slack,
    strictest,
    thresholds_for,
    tracker_threshold,
)
from pytest_memguard.sizes import KIB, MIB


@pytest.mark.parametrize(
    ("limit", "slack"),
    [
        pytest.param(0, RSS_RESOLUTION, id="no-limit"),
        pytest.param(
            int(RSS_RESOLUTION / IGNORED_SHARE),
            RSS_RESOLUTION,
            id="the-share-is-the-resolution",
        ),
        pytest.param(100 * MIB, int(IGNORED_SHARE * 100 * MIB), id="a-share"),
    ],
)
def test_ignored_slack(limit, slack) -> None:
    """Slack up to a small share of the limit, or the mark's resolution, does not matter."""
    assert slack == ignored_slack(limit)


@pytest.mark.parametrize(
    ("limit", "slack"),
    [
        pytest.param(0, RSS_RESOLUTION, id="no-limit"),
        pytest.param(
            int(RSS_RESOLUTION / TRACKER_SHARE),
            RSS_RESOLUTION,
            id="the-share-is-the-resolution",
        ),
        pytest.param(100 * MIB, int(TRACKER_SHARE * 100 * MIB), id="a-share"),
    ],
)
def test_tracker_threshold(limit, slack) -> None:
    """The tracker is used from a large share of the limit on, never below the resolution."""
    assert slack == tracker_threshold(limit)


def test_least_slack() -> None:
    """Slack of 256 KiB is what the mark does not resolve: it never matters."""
    assert ignored_slack(0) == tracker_threshold(0) == 256 * KIB


def test_thresholds_for_stored_peaks() -> None:
    """Beside a peak that will be stored half a MiB of slack does not matter."""
    expected = SlackThresholds(
        ignore=512 * KIB, fill_permanently=4 * MIB, fill_temporarily=512 * KIB, use_tracker=inf
    )
    assert expected == FOR_STORED_PEAKS


@pytest.mark.parametrize("limit", [0, 1, MIB, 5 * MIB, 10 * MIB, 1024 * MIB])
def test_what_is_allowed_needs_no_tracker(limit) -> None:
    """Slack that does not matter never calls for the tracker."""
    assert ignored_slack(limit) <= tracker_threshold(limit)


def test_thresholds_for_a_budget() -> None:
    """Beside a budget a small share is enough; slack from a large share on must not stay."""
    needed = thresholds_for(100 * MIB)
    assert (needed.ignore, needed.fill_permanently) == (5 * MIB, 5 * MIB)
    assert (needed.fill_temporarily, needed.use_tracker) == (25 * MIB, 25 * MIB)


@pytest.mark.parametrize(
    ("limit", "baseline_value", "enough"),
    [
        pytest.param(12 * MIB, 10 * MIB, MIB // 2, id="small-margin"),
        pytest.param(110 * MIB, 100 * MIB, 5 * MIB // 2, id="a-quarter-of-the-margin"),
        pytest.param(110 * MIB + 3, 100 * MIB, 5 * MIB // 2, id="whole-bytes"),
    ],
)
def test_thresholds_for_a_baseline_value(limit, baseline_value, enough) -> None:
    """Beside a record slack must be small beside the margin; the tracker is never used."""
    needed = thresholds_for(limit, baseline_value)
    assert (needed.ignore, needed.fill_temporarily) == (enough, enough)
    assert (needed.fill_permanently, needed.use_tracker) == (4 * MIB, inf)


def test_finest() -> None:
    """Several measurements at once need the best of each."""
    budget, record = thresholds_for(100 * MIB), thresholds_for(110 * MIB, 100 * MIB)
    assert strictest([budget, record]) == SlackThresholds(
        ignore=record.ignore,
        fill_permanently=record.fill_permanently,
        fill_temporarily=record.fill_temporarily,
        use_tracker=budget.use_tracker,
    )
    assert strictest([record]) == record
