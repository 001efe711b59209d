"""Tests of the budget rule: one limit against one peak, and the sentence about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.budget import (
    judge,
    not_measured,
    stage_not_run,
    subject,
    uncovered_setup,
)
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.model.measurements import Budget, Peak
from pytest_memguard.sizes import KIB, MIB

LIMIT = 200 * MIB
BUDGET = Budget(limit=LIMIT, where="the marker")
WARNING = replace(BUDGET, warn=0.8)
FINE = replace(BUDGET, limit=MIB - 1)


def peak(value, high=None, method="kernel mark", metric="rss") -> Peak:
    """A peak, exact unless it says otherwise."""
    return Peak(metric=metric, value=value, high=value if high is None else high, method=method)


def sampled(value: int, unseen: int | None, high: int = 0) -> Peak:
    """A sampled peak, of which so much may have been missed."""
    return replace(peak(value, max(value, high), method="sampled"), unseen=unseen)


@pytest.mark.parametrize(
    ("budget", "value", "high", "rule"),
    [
        pytest.param(BUDGET, 0, 0, None, id="nothing"),
        pytest.param(BUDGET, LIMIT, LIMIT, None, id="at-the-limit"),
        pytest.param(BUDGET, LIMIT + 1, LIMIT + 1, "over-budget", id="a-byte-over"),
        pytest.param(BUDGET, LIMIT + 1, 2 * LIMIT, "over-budget", id="surely-over"),
        pytest.param(BUDGET, 1, LIMIT, None, id="surely-within"),
        pytest.param(BUDGET, 1, LIMIT + 1, "undecided", id="perhaps-over"),
        pytest.param(BUDGET, LIMIT, LIMIT + 1, "undecided", id="perhaps-a-byte-over"),
        pytest.param(WARNING, LIMIT * 8 // 10, LIMIT * 8 // 10, None, id="at-the-share"),
        pytest.param(
            WARNING, LIMIT * 8 // 10 + 1, LIMIT * 8 // 10 + 1, "near-budget", id="close"
        ),
        pytest.param(WARNING, LIMIT, LIMIT, "near-budget", id="close-and-at-the-limit"),
        pytest.param(WARNING, 1, LIMIT, None, id="upper-bound-alone-is-close"),
        pytest.param(WARNING, LIMIT, LIMIT + 1, "undecided", id="undecided-before-close"),
        pytest.param(replace(BUDGET, warn=0.0), 5, 5, None, id="no-share-at-all"),
        pytest.param(WARNING, LIMIT + 1, LIMIT + 1, "over-budget", id="over-before-close"),
        pytest.param(
            FINE,
            FINE.limit + RSS_RESOLUTION + 1,
            0,
            "over-budget",
            id="over-by-more-than-the-resolution",
        ),
        pytest.param(
            FINE, FINE.limit + RSS_RESOLUTION, 0, "undecided", id="over-by-the-resolution"
        ),
        pytest.param(
            FINE, FINE.limit + 1, 0, "undecided", id="over-by-a-byte-of-the-resolution"
        ),
        pytest.param(FINE, FINE.limit, FINE.limit, None, id="at-a-fine-limit"),
        pytest.param(replace(FINE, limit=MIB), MIB + 1, 0, "over-budget", id="not-that-fine"),
        pytest.param(
            Budget(limit=0, where="x"), RSS_RESOLUTION + 1, 0, "over-budget", id="no-memory"
        ),
        pytest.param(Budget(limit=0, where="x", warn=0.5), 0, 0, None, id="none-used"),
        pytest.param(BUDGET, -5, -5, None, id="negative"),
    ],
)
def test_judge(budget, value, high, rule) -> None:
    """A peak is over, close, undecided or fine, in this order."""
    found = judge(budget, peak(value, max(value, high)))
    assert rule == (None if found is None else found.rule)


@pytest.mark.parametrize(
    ("measured", "budget", "rule"),
    [
        pytest.param(sampled(LIMIT + 1, None), BUDGET, "over-budget", id="surely-over"),
        pytest.param(sampled(1, LIMIT - 1), BUDGET, None, id="surely-within"),
        pytest.param(sampled(1, LIMIT), BUDGET, "undecided", id="perhaps-over"),
        pytest.param(sampled(1, None), BUDGET, "undecided", id="nothing-bounds-it"),
        pytest.param(sampled(1, 5, LIMIT - 5), BUDGET, None, id="within-with-room"),
        pytest.param(sampled(1, 5, LIMIT), BUDGET, "undecided", id="room-and-missed"),
        pytest.param(sampled(LIMIT - 1, None), WARNING, "near-budget", id="close-comes-first"),
        pytest.param(sampled(1, 2), WARNING, None, id="surely-not-close"),
    ],
)
def test_judge_sampled(measured, budget, rule) -> None:
    """A budget is surely broken or surely kept, or the finding says that neither is known."""
    found = judge(budget, measured)
    assert rule == (None if found is None else found.rule)


@pytest.mark.parametrize(("metric", "method"), [("heap", "memray"), ("python", "tracemalloc")])
def test_other_metrics_are_exact_to_the_byte(metric, method) -> None:
    """Where the number is exact to the byte, one byte over a small budget is a breach."""
    found = judge(
        replace(FINE, metric=metric), peak(FINE.limit + 1, method=method, metric=metric)
    )
    assert found is not None
    assert found.rule == "over-budget"


def test_finding_holds_what_was_judged() -> None:
    """A finding has its budget and its peak with it, and no lines yet."""
    measured = peak(LIMIT + 1)
    found = judge(BUDGET, measured)
    assert found is not None
    assert (BUDGET, measured, (), "") == (
        found.budget,
        found.peak,
        found.sites,
        found.advice,
    )


@pytest.mark.parametrize(
    ("budget", "measured", "text"),
    [
        pytest.param(
            BUDGET,
            peak(222_717_543),
            "peak RSS 212.4 MiB is 12.4 MiB over the budget of 200.0 MiB set by the marker",
            id="over",
        ),
        pytest.param(
            BUDGET,
            peak(LIMIT + 8 * KIB),
            "peak RSS 204808.0 KiB is 8.0 KiB over the budget of 204800.0 KiB set by the "
            "marker",
            id="hardly-over",
        ),
        pytest.param(
            BUDGET,
            peak(300 * MIB, method="sampled"),
            "peak RSS 300.0 MiB (sampled: the true peak may be higher) is 100.0 MiB over the "
            "budget of 200.0 MiB set by the marker",
            id="over-sampled",
        ),
        pytest.param(
            BUDGET,
            peak(300 * MIB, method="memray estimate"),
            "peak RSS 300.0 MiB (by memray: slack inside the process hides part of it "
            "from the kernel) is 100.0 MiB over the budget of 200.0 MiB set by the marker",
            id="over-by-memray",
        ),
        pytest.param(
            replace(BUDGET, metric="heap", where="mem_budgets in tox.ini"),
            peak(300 * MIB, method="memray", metric="heap"),
            "peak heap 300.0 MiB is 100.0 MiB over the budget of 200.0 MiB set by "
            "mem_budgets in tox.ini",
            id="over-heap",
        ),
        pytest.param(
            WARNING,
            peak(180 * MIB),
            "peak RSS 180.0 MiB is 90% of the budget of 200.0 MiB set by the marker",
            id="close",
        ),
        pytest.param(
            WARNING,
            peak(180 * MIB, method="sampled"),
            "peak RSS 180.0 MiB (sampled: the true peak may be higher) is 90% of the budget "
            "of 200.0 MiB set by the marker",
            id="close-sampled",
        ),
        pytest.param(
            BUDGET,
            peak(150 * MIB, 250 * MIB),
            "peak RSS lies between 150.0 MiB and 250.0 MiB, the budget of 200.0 MiB set by "
            "the marker in between: earlier code left slack inside the process that the "
            "kernel's mark does not show; run the test by itself to decide",
            id="undecided",
        ),
        pytest.param(
            BUDGET,
            replace(peak(150 * MIB, 250 * MIB), bound="collected"),
            "peak RSS lies between 150.0 MiB and 250.0 MiB, the budget of 200.0 MiB set by "
            "the marker in between: a garbage collection in the meantime freed older memory, "
            "which can be used again without raising the kernel's mark; run the test by "
            "itself to decide",
            id="undecided-for-a-collection",
        ),
        pytest.param(
            BUDGET,
            replace(peak(150 * MIB, 250 * MIB), bound="unseen"),
            "peak RSS lies between 150.0 MiB and 250.0 MiB, the budget of 200.0 MiB set by "
            "the marker in between: the test emptied gc.callbacks, so a garbage collection "
            "may have freed older memory, which can be used again without raising the "
            "kernel's mark",
            id="undecided-for-what-was-not-seen",
        ),
        pytest.param(
            replace(BUDGET, limit=512 * KIB),
            peak(600 * KIB),
            "peak RSS 600.0 KiB is as near to the budget of 512.0 KiB set by the marker as "
            "the kernel's mark is exact (256.0 KiB); metric='heap' is exact to the byte",
            id="undecided-within-the-resolution",
        ),
        pytest.param(
            BUDGET,
            sampled(50 * MIB, 600 * MIB, 60 * MIB),
            "peak RSS was sampled, 50.0 MiB at the highest, within the budget of 200.0 MiB "
            "set by the marker; the process's lifetime high-water mark allows up to 660.0 "
            "MiB, so a short peak above the budget may have been missed",
            id="sampled-and-bounded",
        ),
        pytest.param(
            BUDGET,
            sampled(50 * MIB, None),
            "peak RSS was sampled, 50.0 MiB at the highest, within the budget of 200.0 MiB "
            "set by the marker; nothing bounds what lasted less, so a short peak above the "
            "budget may have been missed",
            id="sampled-and-unbounded",
        ),
        pytest.param(
            replace(BUDGET, metric="tree"),
            replace(sampled(50 * MIB, 600 * MIB), metric="tree"),
            "peak memory of the process tree was sampled, 50.0 MiB at the highest, within the "
            "budget of 200.0 MiB set by the marker; high-water marks and page faults of its "
            "descendants allow up to 650.0 MiB, so a short peak above the budget may have been "
            "missed",
            id="tree-bounded",
        ),
        pytest.param(
            replace(BUDGET, metric="tree"),
            replace(sampled(50 * MIB, None), metric="tree"),
            "peak memory of the process tree was sampled, 50.0 MiB at the highest, within the "
            "budget of 200.0 MiB set by the marker; SIGCHLD is ignored, and children end "
            "without a trace, so a short peak above the budget may have been missed",
            id="tree-unbounded",
        ),
        pytest.param(
            replace(BUDGET, limit=3 * MIB, metric="tree"),
            replace(peak(3 * MIB + 1), metric="tree"),
            "peak memory of the process tree 3.0 MiB is as near to the budget of 3.0 MiB set "
            "by the marker as samples are exact (1.0 MiB)",
            id="tree-within-the-resolution",
        ),
        pytest.param(
            BUDGET,
            replace(peak(300 * MIB), unseen=9 * MIB),
            "peak RSS 300.0 MiB or more is 100.0 MiB over the budget of 200.0 MiB set by the "
            "marker",
            id="at-least",
        ),
    ],
)
def test_text(budget, measured, text) -> None:
    """A sentence says what was measured, by how much, which limit, and who set it."""
    found = judge(budget, measured)
    assert found is not None
    assert text == found.text


@pytest.mark.parametrize(
    ("values", "phase", "text"),
    [
        pytest.param({}, "call", "peak RSS", id="the-call-goes-without-saying"),
        pytest.param({"metric": "heap"}, None, "peak heap", id="heap"),
        pytest.param({"metric": "python"}, None, "peak Python memory", id="python"),
        pytest.param({"phase": "setup"}, None, "peak RSS of setup", id="setup"),
        pytest.param({"phase": "setup"}, "setup", "peak RSS of setup", id="setup-twice"),
        pytest.param(
            {"phase": "all"}, "setup", "peak RSS of setup, call and teardown", id="all"
        ),
        pytest.param({"stage": "load"}, "call", "peak RSS of stage 'load'", id="stage"),
        pytest.param(
            {"stage": "load", "phase": "all"}, None, "peak RSS of stage 'load'", id="stage-all"
        ),
        pytest.param(
            {"metric": "heap", "threads": "current", "phase": "teardown"},
            None,
            "peak heap of the test's own thread of teardown",
            id="own-thread",
        ),
    ],
)
def test_subject(values, phase, text) -> None:
    """A sentence begins with the metric, whose it is, and the part of the test."""
    assert text == subject(replace(BUDGET, **values), phase)


def test_phase_named_in_text() -> None:
    """A budget on one phase names it in its sentence."""
    found = judge(replace(BUDGET, phase="teardown"), peak(201 * MIB), "teardown")
    assert found is not None
    assert found.text == (
        "peak RSS of teardown 201.0 MiB is 1.0 MiB over the budget of 200.0 MiB set by the "
        "marker"
    )


def test_not_measured() -> None:
    """A budget that could not be checked says why, and has no peak."""
    found = not_measured(replace(BUDGET, metric="heap"), "memray is not available")
    assert (found.rule, found.peak) == ("not-measured", None)
    assert found.text == (
        "the budget of 200.0 MiB on peak heap set by the marker was not checked: memray is "
        "not available"
    )


def test_stage_not_run() -> None:
    """A budget on a stage that was never entered names the stage."""
    found = stage_not_run(replace(BUDGET, stage="load"))
    assert (found.rule, found.peak) == ("stage-not-run", None)
    assert found.text == (
        "the budget of 200.0 MiB for stage 'load' set by the marker was not checked: the "
        "test entered no stage of that name"
    )


def test_uncovered_setup() -> None:
    """The line about setup speaks of the budget on the call's resident memory."""
    budgets = [replace(BUDGET, metric="heap", limit=1), replace(BUDGET, stage="a"), BUDGET]
    assert uncovered_setup(budgets, 300 * MIB) == (
        "setup rose 300.0 MiB, above the budget of 200.0 MiB set by the marker, which covers "
        "only the call (phase='all' covers setup too)"
    )
