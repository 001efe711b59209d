"""Tests of a run's notices: which findings count, at which level, and which do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.measurements import Budget, Finding
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.notices import count_by_rule, notices, whole_text
from pytest_memguard.sizes import MIB
from tests.support.sample_values import LEAK, RUN, rss

BUDGET = Budget(limit=200 * MIB, where="the marker")
OVER = Finding(rule="over-budget", budget=BUDGET, peak=rss(212), text="it is over", raised=True)
LEAKING = replace(LEAK, accepted="")
UNDECIDED = replace(
    LEAKING, diagnosis=None, verdict=replace(LEAK.verdict, state="undecided", reason="noise")
)


def outcome(nodeid="test_a", result="failed", *findings, **more) -> Outcome:
    """A test with findings."""
    return Outcome(nodeid=nodeid, file="t.py", line=3, result=result, findings=findings, **more)


def found(*outcomes, leak_strict=False) -> list[tuple[str, str, str]]:
    """Level, rule and test of every notice."""
    run = replace(RUN, outcomes=outcomes, leak_strict=leak_strict)
    return [(notice.level, notice.rule, notice.nodeid) for notice in notices(run)]


@pytest.mark.parametrize(
    ("result", "raised", "expected"),
    [
        pytest.param("failed", True, [("error", "over-budget", "test_a")], id="failed"),
        pytest.param("error", True, [("error", "over-budget", "test_a")], id="teardown"),
        pytest.param("xfailed", True, [], id="expected-by-xfail"),
        pytest.param("passed", True, [], id="expected-by-raises"),
        pytest.param("passed", False, [("warning", "over-budget", "test_a")], id="warns"),
        pytest.param("failed", False, [("warning", "over-budget", "test_a")], id="other"),
    ],
)
def test_levels(result, raised, expected) -> None:
    """Only what a test failed with is an error, and what it expected is nothing."""
    assert expected == found(outcome("test_a", result, replace(OVER, raised=raised)))


def test_accepted_regressions() -> None:
    """A regression that did not fail its test was accepted."""
    finding = replace(OVER, rule="regression", raised=False)
    assert found(outcome("test_a", "passed", finding)) == []


@pytest.mark.parametrize("rule", ["regression", "over-budget", "anything-new"])
def test_whatever_was_raised_is_an_error(rule) -> None:
    """The rule does not matter for what failed the test."""
    finding = replace(OVER, rule=rule)
    assert [("error", rule, "test_a")] == found(outcome("test_a", "failed", finding))


def test_order() -> None:
    """Errors come first, then the weightier rule, then the larger excess."""
    near = replace(OVER, rule="near-budget", raised=False)
    assert found(
        outcome("test_f", "passed", replace(OVER, rule="not-measured", raised=False)),
        outcome("test_a", "passed", near),
        outcome("test_g", "failed", replace(OVER, rule="new-test", peak=None)),
        outcome("test_b", "failed", OVER),
        outcome("test_c", "failed", replace(OVER, peak=rss(300))),
        outcome("test_d", "failed", replace(OVER, rule="regression")),
        outcome("test_e", leak=LEAKING),
    ) == [
        ("error", "regression", "test_d"),
        ("error", "leaking", "test_e"),
        ("error", "over-budget", "test_c"),
        ("error", "over-budget", "test_b"),
        ("error", "new-test", "test_g"),
        ("warning", "near-budget", "test_a"),
        ("warning", "not-measured", "test_f"),
    ]


def test_text() -> None:
    """The text is the failure's first line without the slug; the details are all of it."""
    (notice,) = notices(replace(RUN, outcomes=(outcome("test_a", "failed", OVER),)))
    assert notice.text == "it is over"
    assert whole_text(notice) == "it is over (over-budget)"
    assert (notice.file, notice.line, notice.excess) == ("t.py", 3, 12 * MIB)


def test_warnings_have_no_more_text() -> None:
    """A finding without a failure has no text to show."""
    warns = outcome("test_a", "passed", replace(OVER, raised=False))
    (notice,) = notices(replace(RUN, outcomes=(warns,)))
    assert whole_text(notice) == ""


def test_windows_paths() -> None:
    """Paths have slashes, and a test without a line is at the first."""
    odd = replace(outcome("test_a", "failed", OVER), file="a\\t.py", line=0)
    (notice,) = notices(replace(RUN, outcomes=(odd,)))
    assert (notice.file, notice.line) == ("a/t.py", 1)


@pytest.mark.parametrize(
    ("leak", "result", "expected"),
    [
        pytest.param(LEAKING, "failed", [("error", "leaking", "test_a")], id="leaking"),
        pytest.param(LEAK, "passed", [], id="accepted"),
        pytest.param(LEAKING, "xfailed", [], id="expected"),
        pytest.param(UNDECIDED, "failed", [], id="failed-otherwise"),
    ],
)
def test_leaks(leak, result, expected) -> None:
    """A leak is an error unless it was accepted or expected."""
    assert expected == found(outcome("test_a", result, leak=leak))


def test_strict() -> None:
    """With --mem-leak-strict a check without a verdict is what the test failed with."""
    outcomes = (outcome(leak=UNDECIDED), outcome("test_b", "passed", leak=LEAK))
    assert found(*outcomes, leak_strict=True) == [("error", "undecided", "test_a")]


def test_one_leak_of_many_tests() -> None:
    """A leak that many tests show is one notice, at the first of them."""
    many = tuple(outcome(f"test_{number}", leak=LEAKING) for number in range(5))
    (notice,) = notices(replace(RUN, outcomes=many))
    assert notice.nodeid == "test_0"
    assert notice.text.endswith("held by app.cache._REGISTRY; 5 tests show it")


def test_counts() -> None:
    """Rules are counted level by level."""
    warned = outcome("test_w", "passed", replace(OVER, raised=False))
    run = replace(
        RUN, outcomes=(outcome("test_a", "failed", OVER, OVER), outcome(leak=LEAKING), warned)
    )
    assert count_by_rule(notices(run), "error") == {"leaking": 1, "over-budget": 2}
    assert count_by_rule(notices(run), "warning") == {"over-budget": 1}
