"""Profilers that run while memray tracks: they go on afterwards."""

from __future__ import annotations

import sys
from cProfile import Profile
from pstats import Stats

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.heap import HeapTracker, TrackerFolder
from pytest_memguard.probes.surviving_blocks import warm_up

pytest.importorskip("memray")


def track_peak():
    """Track once for the exact peak."""
    folder = TrackerFolder()
    HeapTracker(folder).stop().close()
    folder.close()


def called_afterwards():
    """Leave a trace in a profile."""


@pytest.fixture
def no_profile():
    """Run the test without the profiler of the run."""
    before = sys.getprofile()
    sys.setprofile(None)
    yield
    sys.setprofile(before)


@pytest.mark.usefixtures("no_profile")
@pytest.mark.parametrize("track", [warm_up, track_peak])
def test_cprofile_goes_on(track):
    """Calls after the tracking are in the statistics of cProfile."""
    profile = Profile()
    profile.enable()
    try:
        track()
        called_afterwards()
    finally:
        profile.disable()
    functions = {name for _, _, name in Stats(profile).stats}
    assert "called_afterwards" in functions


@pytest.mark.usefixtures("no_profile")
@pytest.mark.parametrize("track", [warm_up, track_peak])
def test_a_profile_function_goes_on(track):
    """A function given to `sys.setprofile` is there again after the tracking."""
    seen = []

    def profile(frame, event, _):
        if event == "call":
            seen.append(frame.f_code.co_name)

    sys.setprofile(profile)
    track()
    called_afterwards()
    sys.setprofile(None)
    assert "called_afterwards" in seen


@pytest.mark.usefixtures("no_profile")
def test_cprofile_goes_on_where_memray_is_busy():
    """A second tracker cannot start, and cProfile goes on all the same."""
    folder, profile = TrackerFolder(), Profile()
    first = HeapTracker(folder)
    profile.enable()
    try:
        with pytest.raises(Unmeasurable):
            HeapTracker(folder)
        called_afterwards()
    finally:
        profile.disable()
        first.stop().close()
        folder.close()
    assert "called_afterwards" in {name for _, _, name in Stats(profile).stats}
