"""Tests of the way from readings to a value for each commit."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.trends import can_be_judged, trends
from pytest_memguard.model.past_runs import Commit
from pytest_memguard.sizes import MIB
from tests.support.history_values import PLACE, name_of, reading, run_at


def test_runs_of_a_commit_are_one_point() -> None:
    """The value is the median of the commit's runs, wherever they stand in the order."""
    commits = [1, 1, 2, 1]
    runs = [
        run_at(number, commit=Commit(name=name_of(of), branch="main", dirty=False))
        for number, of in enumerate(commits, 1)
    ]
    readings = [reading(number, peak) for number, peak in enumerate([10, 90, 30, 12], 1)]
    (trend,) = trends(runs, readings)
    assert [point.value for point in trend.points] == [12 * MIB, 30 * MIB]
    assert [point.run.number for point in trend.points] == [1, 3]
    assert [[r.run for r in point.readings] for point in trend.points] == [[1, 2, 4], [3]]


@pytest.mark.parametrize(
    ("commit", "points"),
    [
        pytest.param(Commit(name="a", dirty=True), 3, id="changed-files"),
        pytest.param(Commit(), 3, id="unknown"),
        pytest.param(Commit(name="a"), 1, id="known-from-ci"),
    ],
)
def test_what_is_no_commit_is_a_point_of_its_own(commit, points) -> None:
    """Uncommitted changes may differ in every run."""
    runs = [run_at(number, commit=commit) for number in (1, 2, 3)]
    (trend,) = trends(runs, [reading(number, 5) for number in (1, 2, 3)])
    assert points == len(trend.points)


def test_places_are_kept_apart() -> None:
    """Numbers of different interpreters or systems are not compared."""
    runs = [run_at(number, environment=f"{PLACE}{number % 2}") for number in range(1, 21)]
    readings = [
        reading(n, 20 if n % 2 else 90, nodeid) for nodeid in "ba" for n in range(1, 21)
    ]
    found = trends(runs, readings)
    assert [("a", f"{PLACE}0"), ("a", f"{PLACE}1"), ("b", f"{PLACE}0"), ("b", f"{PLACE}1")] == [
        (trend.nodeid, trend.environment) for trend in found
    ]
    assert [trend.steps for trend in found] == [()] * 4


def test_a_step_names_its_commit() -> None:
    """Readings that cannot be judged do not shift it."""
    peaks = [20, 20, 20, None, 20, 20, 20, None, 40, 40, 40, 40, 40, 40]
    runs = [run_at(number) for number in range(1, len(peaks) + 1)]
    (trend,) = trends(runs, [reading(number, peak) for number, peak in enumerate(peaks, 1)])
    ((point, step),) = trend.steps
    assert (point.run.number, step.before, step.after) == (9, 20 * MIB, 40 * MIB)
    assert (len(trend.points), trend.judged) == (14, 12)


def test_a_step_from_nothing() -> None:
    """A level of nothing is one like any other."""
    peaks = [0] * 8 + [40] * 8
    runs = [run_at(number) for number in range(1, 17)]
    (trend,) = trends(runs, [reading(number, peak) for number, peak in enumerate(peaks, 1)])
    assert [(step.before, step.after) for _, step in trend.steps] == [(0, 40 * MIB)]


def test_a_point_is_made_of_what_can_be_judged() -> None:
    """A run that failed is no part of its commit's value."""
    runs = [run_at(number, commit=Commit(name="a")) for number in (1, 2)]
    (trend,) = trends(runs, [reading(1, 20), reading(2, 90, outcome="failed")])
    assert [point.value for point in trend.points] == [20 * MIB]


@pytest.mark.parametrize(
    ("peak", "above", "judged"),
    [
        pytest.param(0, 4 * MIB, True, id="four-of-nothing"),
        pytest.param(0, 4 * MIB + 1, False, id="a-byte-more"),
        pytest.param(100, 10 * MIB, True, id="a-tenth"),
        pytest.param(100, 10 * MIB + 1, False, id="a-byte-more-than-a-tenth"),
    ],
)
def test_how_exact_a_peak_must_be(peak, above, judged) -> None:
    """The bound of a peak may be a tenth above it, or 4 MiB."""
    assert judged == can_be_judged(reading(1, peak, ceiling=peak * MIB + above))


@pytest.mark.parametrize(
    ("changes", "judged"),
    [
        pytest.param({}, True, id="passed"),
        pytest.param({"outcome": "failed"}, False, id="failed-half-way"),
        pytest.param({"outcome": "failed", "finding": "over-budget"}, True, id="over-budget"),
        pytest.param({"outcome": "failed", "finding": "leaking"}, True, id="leaking"),
        pytest.param({"outcome": "xfailed"}, False, id="failed-as-expected"),
        pytest.param(
            {"outcome": "skipped", "peak": None, "ceiling": None}, False, id="skipped"
        ),
        pytest.param({"ceiling": None}, False, id="without-a-bound"),
        pytest.param({"ceiling": 54 * MIB}, True, id="nearly-exact"),
        pytest.param({"ceiling": 60 * MIB}, False, id="vague"),
    ],
)
def test_which_peaks_count(changes, judged) -> None:
    """A peak counts if the test ran to its end and the number is known well enough."""
    assert judged == can_be_judged(reading(1, 50, **changes))
