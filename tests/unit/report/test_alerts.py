"""Tests of the report on alerts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from pytest_memguard.report.alerts import (
    MOST_LISTED,
    alert_lines,
    alert_markdown,
    alert_sentence,
)
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.markdown_blocks import SUMMARY_LIMIT
from pytest_memguard.report.notices import notices
from tests.support.sample_values import ALERT, RUN

SENTENCE = (
    "critical: gw1 reached 1.17 GiB (level 1.00 GiB) in tests/test_rows.py::test_load[a b]"
)
BEFORE = replace(ALERT, severity="warning", nodeid="", phase="", worker="")


def test_sentence() -> None:
    """An alert is one sentence, of a test or of the time before the first one."""
    assert alert_sentence(ALERT) == SENTENCE
    assert alert_sentence(BEFORE) == (
        "warning: pytest reached 1.17 GiB (level 1.00 GiB) before the first test"
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"signal": "worker fds", "highest": 1200, "limit": 1000},
            "critical: gw1 reached 1,200 open files (level 1,000 open files) in t",
            id="count",
        ),
        pytest.param(
            {"signal": "worker uss"},
            "critical: gw1 reached 1.17 GiB of its own (USS) (level 1.00 GiB) in t",
            id="uss",
        ),
        pytest.param(
            {"signal": "run rss"},
            "critical: the run reached 1.17 GiB (level 1.00 GiB) and most of it was that of t "
            "in gw1",
            id="run-with-workers",
        ),
        pytest.param(
            {"signal": "run rss", "worker": ""},
            "critical: the run reached 1.17 GiB (level 1.00 GiB) in t",
            id="run",
        ),
        pytest.param(
            {"signal": "run rss", "nodeid": "", "worker": ""},
            "critical: the run reached 1.17 GiB (level 1.00 GiB)",
            id="run-without-a-test",
        ),
    ],
)
def test_signals(changes, sentence) -> None:
    """Each signal has words and a unit of its own."""
    assert sentence == alert_sentence(replace(ALERT, **{"nodeid": "t", **changes}))


def test_the_worst_first() -> None:
    """The worst come first, and not all of them are listed."""
    larger = replace(ALERT, highest=ALERT.highest * 2)
    assert alert_lines([BEFORE, ALERT, larger])[2] == alert_sentence(BEFORE)
    assert alert_lines([BEFORE, ALERT, larger])[1] == SENTENCE
    lines = alert_lines([ALERT] * (MOST_LISTED + 3))
    assert lines[MOST_LISTED:] == ["... and 3 more alerts"]


def test_markdown() -> None:
    """Markdown has a list of the same, and a run without alerts has none."""
    text = markdown(replace(RUN, alerts=(ALERT, BEFORE)), top=3, limit=SUMMARY_LIMIT)
    name = "`tests/test_rows.py::test_load[a b]`"
    assert f"- **critical**: gw1 reached 1.17 GiB (level 1.00 GiB) in {name}" in text
    blocks = alert_markdown([ALERT] * (MOST_LISTED + 3))
    html = MarkdownIt().render("\n\n".join("\n".join(block) for block in blocks))
    assert html.count("<li>") == MOST_LISTED + 1
    assert alert_markdown([]) == []


def test_notices() -> None:
    """CI services get a warning at the test."""
    found = notices(replace(RUN, outcomes=(), alerts=(ALERT, BEFORE)))
    assert {"memory-alert"} == {notice.rule for notice in found}
    assert {"warning"} == {notice.level for notice in found}
    assert sorted((notice.outcome.file for notice in found), reverse=True) == [
        "tests/test_rows.py",
        "",
    ]
