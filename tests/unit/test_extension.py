"""Tests of what other plugins implement: readings, checks, and probes that know a level."""

from __future__ import annotations

import pytest

from pytest_memguard.extension import Check, Marker, Reading, Readings, TestInfo
from pytest_memguard.model.metrics import Metric, add_metric, metric_named
from pytest_memguard.probes import Probe
from pytest_memguard.probes.guarded import GuardedProbe

WIDGETS = Metric(name="widgets", noun="widgets", unit="widgets")


def reading(before, after, highest, lost="") -> Reading:
    """A reading of widgets."""
    return Reading(metric=WIDGETS, before=before, after=after, highest=highest, lost=lost)


class Level(Probe):
    """A level that is moved by hand."""

    metric = WIDGETS
    now = 0

    def level(self) -> int:
        """The level."""
        return self.now


def test_whole() -> None:
    """From the start of setup until now: first level, last level, and the highest between."""
    readings = Readings(
        {
            "setup": {"widgets": reading(1, 2, 9)},
            "call": {"widgets": reading(2, 4, 5)},
            "teardown": {"widgets": reading(4, 3, 4)},
        }
    )
    assert readings.whole("widgets") == reading(1, 3, 9)
    assert readings.of("widgets", "call") == reading(2, 4, 5)
    assert readings.whole("gadgets") is None
    assert readings.of("gadgets") is None


def test_lost_in_one_phase() -> None:
    """A reading that was lost in one phase is lost for the whole test."""
    readings = Readings({"setup": {"widgets": reading(0, 0, 0, "gone")}})
    whole = readings.whole("widgets")
    assert whole is not None
    assert whole.lost == "gone"


def test_markers() -> None:
    """The closest marker of a name is the one that is asked for."""
    close, far = (Marker(name="limit", args=(n,), kwargs={}) for n in (1, 2))
    info = TestInfo(nodeid="t", markers=(close, far))
    assert info.marker("limit") is close
    assert info.marker("other") is None


def test_a_check_that_does_nothing() -> None:
    """A check has to do with no test unless it says so."""
    check = Check()
    assert check.plan(TestInfo(nodeid="t")) is None
    assert list(check.metrics(None)) == []
    assert list(check.judge(None, Readings({}), "call")) == []
    assert list(check.section([])) == []


def test_highest_level_that_was_read() -> None:
    """A probe without a peak of its own has the highest level that was read."""
    probe = Level()
    probe.now = 5
    assert probe.restart() == 5
    probe.now = 9
    assert probe.read() == (9, 9)
    probe.now = 7
    assert probe.read() == (7, 9)
    assert probe.restart() == 7
    assert probe.read() == (7, 7)


def test_guarded() -> None:
    """A probe that raises is lost from then on, and has its latest level."""
    probe = Level()
    guarded = GuardedProbe(probe)
    probe.now = 4
    assert guarded.read() == (0, 0)  # it was not started: the test does not ask for it
    guarded.start()
    assert (guarded.restart(), guarded.lost, guarded.running) == (4, "", True)
    del Level.level
    try:
        assert guarded.read() == (4, 4)
        assert guarded.lost == "its probe raised NotImplementedError: "
    finally:
        Level.level = lambda self: self.now  # type: ignore[method-assign]
    guarded.stop()
    assert not guarded.running


def test_metrics_come_and_go() -> None:
    """A metric is known until it is taken back."""
    remove = add_metric(WIDGETS)
    assert metric_named("widgets") is WIDGETS
    remove()
    assert metric_named("widgets").noun == "peak of widgets"


@pytest.mark.parametrize(
    ("metric", "value", "text", "step"),
    [
        pytest.param(metric_named("rss"), 3 << 20, "3.0 MiB", 65536, id="resident"),
        pytest.param(metric_named("heap"), 5, "5 B", 1024, id="heap"),
        pytest.param(WIDGETS, 1234, "1,234 widgets", 1, id="counted"),
    ],
)
def test_amount(metric, value, text, step) -> None:
    """A number is written in its unit, and rounded to what makes sense in it."""
    assert (metric.amount(value), metric.step) == (text, step)
