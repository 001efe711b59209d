"""Tests of budgets that are judged by a fresh process."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.budget import judge
from pytest_memguard.judge.cold_and_warm import TwoCalls
from pytest_memguard.judge.fresh_budget import (
    after_breach,
    after_fresh,
    is_open,
    may_depend_on_others,
    without_memray,
)
from pytest_memguard.model.measurements import Budget, Peak
from pytest_memguard.sizes import MIB

LIMIT = Budget(limit=10 * MIB, where="the marker")


def peak(low: float, high: float | None = None, metric: str = "rss") -> Peak:
    """A peak in MiB."""
    upper = int((low if high is None else high) * MIB)
    return Peak(metric=metric, value=int(low * MIB), high=upper, method="kernel mark")


HERE = judge(LIMIT, peak(2, 14))


@pytest.mark.parametrize(
    ("cold", "warm", "rule", "words"),
    [
        pytest.param(peak(7), None, None, "", id="within"),
        pytest.param(
            peak(12), peak(12), "over-budget", "12.0 MiB is 2.0 MiB over *: what", id="over"
        ),
        pytest.param(
            peak(12), peak(7), "undecided", "12.0 MiB and the next one 7.0", id="fill"
        ),
        pytest.param(peak(20), peak(12), "over-budget", "12.0 MiB is 2.0", id="fill-and-over"),
        pytest.param(peak(12), peak(7, 12), "over-budget", "12.0 MiB is", id="as-much"),
        pytest.param(peak(12), None, "undecided", "did not pass a second time", id="once"),
        pytest.param(peak(9, 11), None, "undecided", "between 9.0 MiB and 11.0", id="close"),
        pytest.param(peak(0.5), None, "undecided", "only 512.0 KiB, so it depends", id="less"),
    ],
)
def test_two_calls(cold, warm, rule, words) -> None:
    """A first call within the budget lets a test pass; a breach in every call fails it."""
    found = after_fresh(HERE, TwoCalls(cold=cold, warm=warm), "")
    assert rule == (found and found.rule)
    parts = words.split("*")
    assert all(part.strip() in (found.text if found else "") for part in parts)


def test_close_to_the_budget() -> None:
    """A test that is within its budget there may still be close to it."""
    limit = Budget(limit=10 * MIB, where="the marker", warn=0.8)
    found = after_fresh(judge(limit, peak(2, 14)), TwoCalls(cold=peak(9), warm=None), "")
    assert found.rule == "near-budget"


@pytest.mark.parametrize("problem", ["", "it was stopped after 60 seconds"])
def test_no_calls(problem) -> None:
    """A test that a fresh process could not run stays undecided, and the text says why."""
    found = after_fresh(HERE, None, problem)
    assert found.rule == "undecided"
    assert found.text.endswith(f"a fresh process: {problem or 'it did not pass there'}")


@pytest.mark.parametrize(
    ("budget", "measured", "answer"),
    [
        pytest.param(LIMIT, peak(2, 14), True, id="slack"),
        pytest.param(LIMIT, peak(12), False, id="over"),
        pytest.param(LIMIT, peak(10.1), False, id="closer-than-the-mark-is-exact"),
        pytest.param(
            Budget(limit=10 * MIB, where="", phase="setup"), peak(2, 14), False, id="setup"
        ),
        pytest.param(
            Budget(limit=10 * MIB, where="", metric="heap"),
            peak(2, 14, "heap"),
            False,
            id="heap",
        ),
        pytest.param(
            LIMIT,
            Peak(metric="rss", value=2 * MIB, high=14 * MIB, method="sampled", unseen=None),
            False,
            id="sampled",
        ),
    ],
)
def test_what_a_fresh_process_can_answer(budget, measured, answer) -> None:
    """A fresh process can decide what slack hides of a call, but not what sampling misses."""
    assert answer == is_open(judge(budget, measured))


def test_memray_had_no_time() -> None:
    """The sentence has the reason, and a budget that needs no second measurement."""
    found = without_memray(HERE, "memray was not used")
    end = "; memray was not used; a budget of 14.0 MiB needs no second measurement"
    assert found.text.endswith(end)


@pytest.mark.parametrize(
    ("cold", "rule", "end"),
    [
        pytest.param(peak(14), "over-budget", "set by the marker", id="same"),
        pytest.param(peak(13.6, 15), "over-budget", "set by the marker", id="nearly"),
        pytest.param(peak(11), "over-budget", "in a fresh process: 11.0 MiB", id="less"),
        pytest.param(peak(40), "over-budget", "in a fresh process: 40.0 MiB", id="more"),
        pytest.param(
            peak(9, 11), "over-budget", "between 9.0 MiB and 11.0 MiB", id="between-bounds"
        ),
        pytest.param(
            peak(9),
            "undecided",
            "used only 9.0 MiB, so the rest depends on earlier tests (--mem-confirm)",
            id="within",
        ),
        pytest.param(peak(10), "undecided", "(--mem-confirm)", id="just-within"),
        pytest.param(
            Peak(metric="rss", value=MIB, high=MIB, method="sampled", unseen=None),
            "over-budget",
            "between 1.0 MiB and 1.0 MiB",
            id="sampled",
        ),
    ],
)
def test_breach(cold, rule, end) -> None:
    """A breach stands unless the test alone is surely within its budget."""
    calls = TwoCalls(cold=cold, warm=None)
    found = after_breach(judge(LIMIT, peak(14)), calls, "")
    assert rule == found.rule
    assert found.text.endswith(end)


@pytest.mark.parametrize("problem", ["", "it was stopped after 60 seconds"])
def test_breach_without_an_answer(problem) -> None:
    """Where the test could not be called there, the breach stands, and the text says why."""
    found = after_breach(judge(LIMIT, peak(14)), None, problem)
    assert found.rule == "over-budget"
    assert found.text.endswith(f"a fresh process: {problem or 'it did not pass there'}")


@pytest.mark.parametrize(
    ("budget", "measured", "answer"),
    [
        pytest.param(LIMIT, peak(14), True, id="call"),
        pytest.param(LIMIT, peak(2, 14), False, id="slack"),
        pytest.param(
            Budget(limit=10 * MIB, where="", phase="all"), peak(14), False, id="all-phases"
        ),
        pytest.param(
            Budget(limit=10 * MIB, where="", metric="heap"),
            peak(14, None, "heap"),
            False,
            id="heap",
        ),
        pytest.param(
            Budget(limit=10 * MIB, where="", stage="load"), peak(14), True, id="stage"
        ),
        pytest.param(
            LIMIT,
            Peak(metric="rss", value=14 * MIB, high=14 * MIB, method="sampled", unseen=None),
            False,
            id="sampled",
        ),
    ],
)
def test_which_breaches_are_measured_again(budget, measured, answer) -> None:
    """Breaches in a call or a stage are measured again, if they are of resident memory."""
    assert answer == may_depend_on_others(judge(budget, measured))
