"""Tests of the Markdown summary, whole, against the files in tests/gold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from pytest_memguard.model.measurements import PhaseReading
from pytest_memguard.model.results import Gap, Outcome
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.markdown_blocks import COMMENT_LIMIT, SUMMARY_LIMIT
from pytest_memguard.sizes import MIB
from tests.support.gold_files import gold
from tests.support.sample_values import FINDING, LEAK, OUTCOME, RUN, rss

FAILED = replace(OUTCOME, leak=replace(LEAK, accepted=""))


def measured(name, mib, **more) -> Outcome:
    """A test with a peak."""
    call = PhaseReading(name="call", seconds=0.1, level=MIB, growth=0, peaks=(rss(mib),))
    return Outcome(nodeid=name, phases=(call,), **more)


def test_whole() -> None:
    """The summary has headline, findings, peaks, notes, details and environment, in order."""
    run = replace(RUN, outcomes=(FAILED, RUN.outcomes[1]))
    assert gold("markdown") == markdown(run, top=10, limit=SUMMARY_LIMIT).removesuffix("\n")


def test_nothing_found() -> None:
    """A run without findings says so in its headline, and has its peaks."""
    run = replace(RUN, outcomes=(measured("test_a", 5),), gaps=())
    text = markdown(run, top=10, limit=SUMMARY_LIMIT)
    assert text.startswith("## Memory: 1 test, 0 over budget, 0 regressions, 0 leaking\n\n###")
    assert "| 5.0 | `test_a` |" in text
    assert "Notes" not in text
    assert "details" not in text


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        pytest.param([], "0 over budget, 0 regressions, 0 leaking", id="none"),
        pytest.param(
            ["regression"], "0 over budget, 1 regression, 0 leaking", id="one-regression"
        ),
        pytest.param(
            ["regression", "regression", "over-budget"],
            "1 over budget, 2 regressions, 0 leaking",
            id="more",
        ),
        pytest.param(["odd"], "0 over budget, 0 regressions, 0 leaking, 1 odd", id="new-rule"),
    ],
)
def test_headline(rules, words) -> None:
    """Breaches, regressions and leaks are counted, and rules of other kinds where they are."""
    outcomes = tuple(
        replace(measured(f"test_{n}", 5), result="failed", findings=(replace(FINDING, rule=r),))
        for n, r in enumerate(rules)
    )
    text = markdown(replace(RUN, outcomes=outcomes), top=1, limit=SUMMARY_LIMIT)
    tests = "1 test" if len(rules) == 1 else f"{len(rules)} tests"
    assert f"## Memory: {tests}, {words}" == text.splitlines()[0]


@pytest.mark.parametrize(("number", "words"), [(1, "1 warning"), (2, "2 warnings")])
def test_warnings(number, words) -> None:
    """Findings that failed no test are counted at the end of the headline."""
    near = replace(FINDING, rule="near-budget", raised=False)
    outcome = replace(measured("test_a", 5), findings=(near,) * number)
    text = markdown(replace(RUN, outcomes=(outcome,)), top=1, limit=SUMMARY_LIMIT)
    assert text.splitlines()[0].endswith(f", 0 leaking, {words}")


def test_a_run_that_kept_little() -> None:
    """Where only tests with findings were kept, no number of tests is claimed."""
    run = replace(RUN, outcomes=(FAILED,))
    text = markdown(run, top=10, limit=SUMMARY_LIMIT, whole=False)
    assert text.startswith("## Memory: 1 over budget, 0 regressions, 1 leaking\n")
    assert "### Peaks of these tests" in text
    assert "at its highest" not in text


def test_top() -> None:
    """The largest peaks are shown, and the others counted."""
    run = replace(RUN, outcomes=tuple(measured(f"test_{n}", n) for n in range(1, 8)))
    text = markdown(run, top=2, limit=SUMMARY_LIMIT)
    assert [
        line.split(" | ")[-1][:-2] for line in text.splitlines() if line.endswith("` |")
    ] == ["`test_7`", "`test_6`"]
    assert "*... and 5 more*" in text


def test_gaps() -> None:
    """Gaps are listed with their reason, as words and not as Markdown."""
    run = replace(RUN, outcomes=(), gaps=(Gap(subject="a_mark_", reason="<b> is not here"),))
    text = markdown(run, top=10, limit=SUMMARY_LIMIT)
    assert "- not measured here: a_mark&#95;: &#60;b&#62; is not here" in text


def test_half_characters() -> None:
    """A text that no file could hold is written with escapes."""
    odd = "a\udc80\x1b[1m"
    finding = replace(FINDING, text=odd, advice=odd)
    outcome = replace(FAILED, nodeid=odd, findings=(finding,), notes=(odd,))
    text = markdown(replace(RUN, outcomes=(outcome,)), top=10, limit=SUMMARY_LIMIT)
    assert all(line.isprintable() for line in text.splitlines())
    assert text.encode("utf-8").count(b"udc80") >= 6


@pytest.mark.parametrize("limit", [COMMENT_LIMIT, 5000])
def test_many_findings_fit(limit) -> None:
    """The text keeps within its limit and stays well-formed, however much is found."""
    outcomes = tuple(
        replace(FAILED, nodeid=f"test_{number}[{'x|`' * 100}]") for number in range(300)
    )
    text = markdown(replace(RUN, outcomes=outcomes), top=100, limit=limit)
    assert len(text.encode()) <= limit
    assert text.startswith("## Memory: 300 tests, 300 over budget, 0 regressions, 1 leaking")
    assert f"*Cut here: the rest does not fit into {limit:,} bytes.*" in text
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert page.count("<details>") == page.count("</details>")
