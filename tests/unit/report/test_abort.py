"""Tests of the report on a run that was stopped."""

from __future__ import annotations

from dataclasses import replace

from markdown_it import MarkdownIt

from pytest_memguard.report.abort import abort_lines, abort_markdown, abort_sentence
from pytest_memguard.report.notices import notices, whole_text
from tests.support.sample_values import ABORT, RUN

DOING = "running in gw1, 100.0 MiB of it in child processes"
LINES = f"""\
the run was stopped: it used 4.1 GiB, and --mem-abort-at allows 4.0 GiB
    +2.05 GiB  tests/test_rows.py::test_load[a b], {DOING}
  +1000.0 MiB  gw2, which had run all its tests
   +600.0 MiB  tests/test_rows.py::test_cache, kept for good
   +200.0 MiB  7 more tests
   +300.0 MiB  no test: pytest, what it imports, and fixtures between tests
  try          pytest -n0 --mem 'tests/test_rows.py::test_load[a b]'
  not known    what gw3 had: its record is gone
"""
NAMELESS = replace(ABORT, parts=ABORT.parts[1:2], more_tests=1)


def test_lines() -> None:
    """The terminal has one line for each part, and what to try."""
    assert "\n".join(abort_lines(ABORT)) + "\n" == LINES


def test_kept_by_a_run_without_workers() -> None:
    """A test that has kept most should be checked for a leak."""
    lines = abort_lines(replace(ABORT, parts=ABORT.parts[2:]))
    assert "  try          pytest --mem-leak-check tests/test_rows.py::test_cache" in lines


def test_no_test() -> None:
    """Where no test is named, there is nothing to try."""
    lines = abort_lines(NAMELESS)
    assert "   +200.0 MiB  1 more test" in lines
    assert not [line for line in lines if "try" in line]
    assert abort_sentence(NAMELESS) == ABORT.reason


def test_markdown() -> None:
    """Markdown has a list of the same, and none without a stop."""
    text = "\n\n".join("\n".join(block) for block in abort_markdown(ABORT))
    assert "- +2.05 GiB: `tests/test_rows.py::test_load[a b]`, running in gw1" in text
    assert "- +1000.0 MiB: gw2, which had run all its tests" in text
    assert MarkdownIt().render(text).count("<li>") == 7
    assert abort_markdown(None) == []


def test_notice() -> None:
    """CI services get an error at the test that had most."""
    (notice,) = notices(replace(RUN, outcomes=(), abort=ABORT))
    assert (
        notice.level,
        notice.rule,
        notice.outcome.file,
    ) == ("error", "memory-abort", "tests/test_rows.py")
    assert notice.text == abort_sentence(ABORT)
    assert "test_load[a b] had 2.05 GiB, running in gw1" in notice.text
    assert whole_text(notice) == ""


def test_notice_without_a_test() -> None:
    """Without one, the error is at no file."""
    (notice,) = notices(replace(RUN, outcomes=(), abort=NAMELESS))
    assert (notice.nodeid, notice.outcome.file) == ("the run", "")
