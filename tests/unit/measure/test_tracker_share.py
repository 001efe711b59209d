"""Tests of the share of the run's time that memray may take."""

from __future__ import annotations

import pytest

from pytest_memguard.measure.tracker_share import ALWAYS_SECONDS, TrackedTest, TrackerShare


def allows(share: TrackerShare, *, again: bool = False) -> bool:
    """Whether memray may run in the next test."""
    return share.allows("test_it.py::test_a", can_be_measured_again=again)


def note(share: TrackerShare, seconds: float) -> None:
    """Let memray have run in a test."""
    share.note(TrackedTest(nodeid="t", seconds=seconds, slack=4, avoided_by=16))


@pytest.mark.parametrize(
    ("share", "elapsed", "ran", "allowed"),
    [
        pytest.param(0.05, 0, [], True, id="the-first-test"),
        pytest.param(0.05, 10, [0.2], True, id="less-than-always"),
        pytest.param(0.05, 10, [ALWAYS_SECONDS], False, id="the-next-would-be-too-much"),
        pytest.param(0.05, 100, [2, 1], True, id="three-of-five-and-two-more"),
        pytest.param(0.05, 100, [2, 1.5], False, id="two-more-are-too-much"),
        pytest.param(0.5, 100, [2, 20], True, id="a-larger-share"),
        pytest.param(0.0, 100, [], False, id="none"),
        pytest.param(None, 100, [], False, id="switched-off"),
    ],
)
def test_share_of_time(clock, share, elapsed, ran, allowed) -> None:
    """Memray runs as long as all of it, and another test like the longest, is within."""
    tracker = TrackerShare(share)
    clock.now += elapsed
    for seconds in ran:
        note(tracker, seconds)
    assert allowed == allows(tracker)
    assert bool(tracker.refused) == (not allowed)


@pytest.mark.parametrize(
    ("ready", "again", "allowed"),
    [(True, True, False), (True, False, True), (False, True, True)],
    ids=["fresh-process", "nothing-it-can-measure", "no-such-process"],
)
def test_not_needed(ready, again, allowed) -> None:
    """Memray does not run where a fresh process can measure; that counts as no refusal."""
    tracker = TrackerShare(0.05, lambda: ready)
    assert allowed == allows(tracker, again=again)
    assert not tracker.refused
