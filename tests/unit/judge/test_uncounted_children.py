"""Tests of what is reported about children that a budget does not count."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.uncounted_children import children_peak, uncounted_children
from pytest_memguard.model.measurements import Budget, Peak

MIB = 1 << 20


def budget(limit: int = 50, **values) -> Budget:
    """A budget of some MiB."""
    return Budget(limit=limit * MIB, where="the marker", **values)


def children(value: int, high: int = 0, unseen: int | None = 0) -> Peak:
    """What children used, in MiB."""
    return Peak(
        metric="children",
        value=value * MIB,
        high=max(high, value) * MIB,
        method="sampled",
        unseen=None if unseen is None else unseen * MIB,
    )


SAID = "its children used {}, which the budget of 50.0 MiB set by the marker does not count; "
SAID += "metric='tree' does"


@pytest.mark.parametrize(
    ("budgets", "own", "peak", "amount"),
    [
        pytest.param([budget()], 0, children(300), "300.0 MiB", id="over"),
        pytest.param([budget()], 30, children(30), "30.0 MiB", id="over-together"),
        pytest.param([budget()], 0, children(300, 305), "300.0 MiB", id="nearly-exact"),
        pytest.param(
            [budget()],
            0,
            children(200, 250, 150),
            "between 200.0 MiB and 400.0 MiB",
            id="bounds",
        ),
        pytest.param([budget()], 0, children(0, 0, 400), "400.0 MiB at most", id="unseen"),
        pytest.param([budget()], 0, children(5, 5, None), "5.0 MiB or more", id="unbounded"),
        pytest.param([budget(90), budget()], 0, children(60), "60.0 MiB", id="the-smallest"),
        pytest.param([budget(metric="heap")], 0, children(60), "60.0 MiB", id="heap"),
        pytest.param([budget()], 0, children(50), None, id="within"),
        pytest.param([budget()], 20, children(30), None, id="within-together"),
        pytest.param([budget()], 60, children(300), None, id="over-by-itself"),
        pytest.param([], 0, children(300), None, id="no-budget"),
        pytest.param([budget(stage="a")], 0, children(300), None, id="a-stage"),
        pytest.param([budget(metric="tree"), budget()], 0, children(300), None, id="tree"),
    ],
)
def test_what_a_budget_does_not_count(budgets, own, peak, amount):
    """Children are reported only if they would have exceeded a budget that the test keeps."""
    said = "" if amount is None else SAID.format(amount)
    assert said == uncounted_children(budgets, own * MIB, peak)


@pytest.mark.parametrize(
    ("sampled", "unseen", "largest", "expected"),
    [
        pytest.param((30, 32), 0, 0, (30, 32, 32), id="sampled"),
        pytest.param((0, 0), 310, 240, (240, 240, 310), id="the-largest-was-not-seen"),
        pytest.param((30, 32), 5, 240, (240, 240, 240), id="the-largest-exceeds-all"),
        pytest.param((30, 32), 5, 0, (30, 32, 37), id="some-unseen"),
    ],
)
def test_the_peak_of_children(sampled, unseen, largest, expected):
    """Samples, the largest child beyond the process itself, and what was missed bound it."""
    low, most = sampled
    peak = children_peak(
        sampled=(low * MIB, most * MIB),
        unseen=unseen * MIB,
        largest=largest * MIB,
    )
    assert expected == (peak.value // MIB, peak.high // MIB, peak.ceiling // MIB)


def test_forgotten_children_are_not_bounded():
    """Where children end without a trace, nothing bounds their peak."""
    peak = children_peak(sampled=(0, 0), unseen=0, forgets=True)
    assert peak.unseen is None
