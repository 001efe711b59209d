"""Tests of the budgets that are suggested."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.suggestions import budget_for, far_above, suggestions
from pytest_memguard.model.suggested import Use
from pytest_memguard.sizes import MIB


def uses(**peaks: float) -> list[Use]:
    """What tests use, in MiB; two underscores stand for what separates file and test."""
    return [
        Use(nodeid=name.replace("__", ".py::"), high=int(high * MIB))
        for name, high in peaks.items()
    ]


@pytest.mark.parametrize(
    ("peak", "margin", "budget"),
    [
        pytest.param(0, 0.3, 4, id="none"),
        pytest.param(2.1, 0.3, 5, id="two-more-than-the-peak"),
        pytest.param(10, 0.3, 13, id="the-margin"),
        pytest.param(10, 0.0, 12, id="without-a-margin"),
        pytest.param(31, 0.3, 45, id="steps-of-five"),
        pytest.param(90, 0.3, 120, id="steps-of-ten"),
        pytest.param(1000, 0.3, 1300, id="steps-of-fifty"),
    ],
)
def test_budget(peak, margin, budget) -> None:
    """A budget leaves the margin above the peak, and at least what a little slack may hide."""
    assert budget * MIB == budget_for(int(peak * MIB), margin)


@pytest.mark.parametrize(
    ("peaks", "expected"),
    [
        pytest.param({}, [], id="no-test"),
        pytest.param({"a__x": 1, "a__y": 2}, [("**", 4, 2)], id="small-tests"),
        pytest.param(
            {**{f"a__x{n}": 1 for n in range(20)}, "b__large": 50},
            [("**", 4, 21), ("b.py::large", 65, 1)],
            id="one-large-test",
        ),
        pytest.param(
            {**{f"a__x{n}": 1 for n in range(40)}, "b__p": 50, "b__q": 30, "b__r": 1},
            [("**", 4, 43), ("b.py", 65, 3)],
            id="a-file-of-large-tests",
        ),
    ],
)
def test_patterns(peaks, expected) -> None:
    """One budget for all tests, and others for files and tests that need more."""
    found = suggestions(uses(**peaks), 0.3)
    assert expected == [(s.pattern, s.budget // MIB, s.tests) for s in found]


def test_parameters_share_a_budget() -> None:
    """A budget is one of a function: values of parameters change."""
    small = [Use(nodeid=f"a.py::test_{n}", high=MIB) for n in range(20)]
    large = [Use(nodeid=f"a.py::test_l[{n}-x]", high=n * MIB) for n in (10, 20)]
    common, own = suggestions(small + large, 0.3)
    assert (own.pattern, own.budget, own.tests) == ("a.py::test_l", 30 * MIB, 2)
    assert common.tests == 22


def test_far_above() -> None:
    """A budget of four times what is needed is named, the largest first."""
    several = [
        Use(nodeid="t::a", high=10 * MIB, budget=52 * MIB),
        Use(nodeid="t::b", high=10 * MIB, budget=51 * MIB),
        Use(nodeid="t::c", high=10 * MIB, budget=900 * MIB),
        Use(nodeid="t::d", high=10 * MIB),
    ]
    found = far_above(several, 0.3)
    assert [(use.nodeid, b // MIB) for use, b in found] == [("t::c", 13), ("t::a", 13)]
