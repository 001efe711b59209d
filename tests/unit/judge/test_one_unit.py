"""Sentences that compare sizes have them all in one unit."""

from __future__ import annotations

import re

import pytest

from pytest_memguard.judge.budget import judge, uncovered_setup
from pytest_memguard.judge.cold_and_warm import TwoCalls
from pytest_memguard.judge.fresh_budget import after_breach
from pytest_memguard.judge.regression_findings import number_finding
from pytest_memguard.model.baselines import BaselineValue, FailRule
from pytest_memguard.model.measurements import Budget, Peak
from pytest_memguard.model.metrics import Metric
from pytest_memguard.plugin.outcomes import short_numbers
from pytest_memguard.sizes import GIB, KIB, MIB, format_sizes

UNIT = re.compile(r"\d (GiB|MiB|KiB|B)\b")
SIZES = [
    pytest.param(55 * MIB, 55 * MIB + 384 * KIB, id="a-little-more"),
    pytest.param(400 * KIB, 34 * MIB, id="much-more"),
    pytest.param(900 * MIB, 1228 * MIB, id="around-a-gibibyte"),
    pytest.param(20 * GIB, 21 * GIB, id="gibibytes"),
    pytest.param(200 * MIB, 200 * MIB + 5, id="bytes-more"),
    pytest.param(1023 * KIB, 2 * MIB, id="around-a-mebibyte"),
    pytest.param(100, 3 * KIB, id="bytes"),
]


def peak(value: int, high: int | None = None, unseen: int | None = 0) -> Peak:
    """A peak, and its upper bound."""
    return Peak(metric="heap", value=value, high=high or value, method="memray", unseen=unseen)


def budget(limit: int, warn: float | None = None) -> Budget:
    """A budget whose metric counts bytes exactly."""
    return Budget(limit=limit, where="the marker", metric="heap", warn=warn)


def over(low: int, high: int) -> str:
    """Above the budget."""
    return judge(budget(low), peak(high)).text


def near(low: int, high: int) -> str:
    """Close to the budget."""
    return judge(budget(high, warn=1e-9), peak(low)).text


def undecided(low: int, high: int) -> str:
    """Between two bounds."""
    return judge(budget((low + high) // 2), peak(low, high)).text


def sampled(low: int, high: int) -> str:
    """Perhaps higher than any sample."""
    return judge(budget((low + high) // 2), peak(low, low, high - low)).text


def short(low: int, high: int) -> str:
    """The line of the short summary."""
    return short_numbers([judge(budget(low), peak(high))])


def setup(low: int, high: int) -> str:
    """A note on what a budget does not cover."""
    return uncovered_setup([Budget(limit=low, where="the marker")], high)


def grown(low: int, high: int) -> str:
    """Above the baseline value."""
    limit = low + (high - low) // 2
    rule = FailRule(kind="growth", floor=0, where="default", text="growth:10%")
    stored = BaselineValue(before=low, rule=rule)
    found = number_finding(
        Budget(limit=limit, where="default", baseline_value=stored), stored, high
    )
    return found.text if found is not None else ""


def again(low: int, high: int) -> str:
    """A breach whose second measurement is another number."""
    breach = judge(budget(low), peak(high))
    return after_breach(breach, TwoCalls(cold=peak(low), warm=None), "").text


@pytest.mark.parametrize(("low", "high"), SIZES)
@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param(sentence, id=sentence.__name__)
        for sentence in (over, near, undecided, sampled, short, setup, grown, again)
    ],
)
def test_one_unit(sentence, low, high) -> None:
    """All sizes in one sentence have the same unit."""
    units = UNIT.findall(sentence(low, high))
    assert len(units) > 1
    assert len(set(units)) == 1


@pytest.mark.parametrize(
    ("sizes", "texts"),
    [
        pytest.param((34 * MIB, 400 * KIB), ["34.0 MiB", "0.4 MiB"], id="tenths"),
        pytest.param((34 * MIB, 0), ["34.0 MiB", "0 B"], id="nothing"),
        pytest.param((2 * MIB, KIB), ["2048.0 KiB", "1.0 KiB"], id="less-than-a-tenth"),
        pytest.param((2 * GIB, 300 * MIB), ["2.00 GiB", "0.29 GiB"], id="gibibytes"),
        pytest.param((3 * KIB, 40), ["3072 B", "40 B"], id="bytes"),
        pytest.param((-MIB, 3 * MIB), ["-1.0 MiB", "3.0 MiB"], id="less-than-nothing"),
        pytest.param((0, 0), ["0 B", "0 B"], id="nothing-at-all"),
    ],
)
def test_the_unit(sizes, texts) -> None:
    """The unit is the largest in which no size is less than a tenth."""
    assert texts == format_sizes(*sizes)


def test_what_need_not_be_visible() -> None:
    """A lower bound of next to nothing leaves the others in the unit that suits them."""
    texts = format_sizes(3 * KIB, 40 * MIB, 20 * MIB, visible=(20 * MIB,))
    assert texts == ["0.0 MiB", "40.0 MiB", "20.0 MiB"]


def test_other_units() -> None:
    """Numbers other than memory have the unit of their metric."""
    metric = Metric(name="files", noun="open files", unit="open files")
    texts = ["3,000 open files", "5 open files"]
    assert texts == metric.amounts(3000, 5)
