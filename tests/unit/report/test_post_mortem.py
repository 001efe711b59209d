"""Tests of the sentences about lost workers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from pytest_memguard.model.flights import Ending, LostWorker, RunAlone
from pytest_memguard.report.loss_advice import advice
from pytest_memguard.report.markdown import markdown
from pytest_memguard.report.markdown_blocks import SUMMARY_LIMIT
from pytest_memguard.report.notices import notices
from pytest_memguard.report.post_mortem import (
    alone_text,
    cause_text,
    driver_texts,
    headline,
    lost_markdown,
    post_mortem,
    short,
    when_text,
)
from pytest_memguard.sizes import GIB, MIB
from tests.support.sample_values import LOST, RUN

ROWS = "tests/test_rows.py::"
BARE = LostWorker(worker="", cause="unknown", ending=Ending(oom_source="x"), driver="none")


WHOLE = """\
gw0 was killed by the kernel, out of memory (SIGKILL; 1 out-of-memory kill, cgroup v2)
  memory           driven by test_rows.py::test_cache, an earlier test
                   it raised the level by 250.0 MiB for good
  running          test_rows.py::test_next, for 1.2 s
                   from 350.0 MiB up to at most 400.0 MiB (+50.0 MiB)
                   (pytest-xdist names test_rows.py::test_other)
  once more        killed with 8 workers, did not run once more: the run was stopped
  raised for good   +250.0 MiB  test_rows.py::test_cache
                      +2.0 MiB  test_rows.py::test_load
                      +3.0 MiB  7 more tests
                     +95.0 MiB  no test: before the first one, or between tests
  other workers    gw1 80.0 MiB, running test_a (+10.0 MiB)
  try              pytest -n0 --mem-leak-check test_rows.py::test_cache
                     shows whether each call keeps more, and what holds it;
                     what it keeps once may be freed in the teardown of a fixture
  not known        the last line of gw0.flight is torn: '["st'
  record           .pytest_cache/memguard-flight/1/gw0.flight
"""


def test_whole() -> None:
    """All that is known is listed, the most important first."""
    assert "\n".join(post_mortem(LOST)) + "\n" == WHOLE.replace("test_rows", "tests/test_rows")


@pytest.mark.parametrize(
    ("cause", "ending", "text"),
    [
        pytest.param(
            "killed",
            Ending(signal=9, oom_kills=0, oom_source="cgroup v1"),
            "was killed by SIGKILL (no out-of-memory kills, cgroup v1)",
            id="killed",
        ),
        pytest.param(
            "killed",
            Ending(signal=9, oom_source="nothing counts"),
            "was killed by SIGKILL (out-of-memory kills not known: nothing counts)",
            id="killed-by-unknown",
        ),
        pytest.param("crashed", Ending(signal=11), "crashed (SIGSEGV)", id="crashed"),
        pytest.param("ended", Ending(signal=15), "was ended by SIGTERM", id="ended"),
        pytest.param(
            "exited", Ending(exit_code=3), "ended itself with exit code 3", id="exited"
        ),
        pytest.param(
            "disconnected",
            Ending(running=True),
            "does not answer any more, but its process still runs",
            id="disconnected",
        ),
        pytest.param(
            "unknown",
            Ending(oom_kills=2, oom_source="machine"),
            "did not come to its end, and how is not known (2 out-of-memory kills, machine)",
            id="unknown",
        ),
    ],
)
def test_cause(cause, ending, text) -> None:
    """Each cause has its words."""
    assert text == cause_text(cause, ending)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {"driver": "running"}, "which was running: it needed 250.0 MiB", id="runs"
        ),
        pytest.param({"driver": "several"}, "many tests: together they raised", id="several"),
        pytest.param(
            {"driver": "neighbour"}, "in another worker: it had 250.0", id="neighbour"
        ),
        pytest.param({"driver": "none"}, "not driven by this worker", id="none"),
        pytest.param({"driver": "none", "cause": "exited"}, "", id="not-memory"),
        pytest.param(
            {"driver": "unknown"},
            f"{ROWS}test_next used 50.0 MiB at most: {ROWS}test_cache had",
            id="at-most",
        ),
        pytest.param(
            {"driver": "unknown", "rise": None, "raised": ()},
            f"not known: what {ROWS}test_next used was not seen",
            id="not-seen",
        ),
    ],
)
def test_driver(changes, words) -> None:
    """Each kind of driver has its words, and none claims more than is known."""
    text = ": ".join(filter(None, driver_texts(replace(LOST, **changes))))
    assert words in text
    assert bool(words) == bool(text)


def test_bare() -> None:
    """Unknown facts take no line."""
    assert post_mortem(BARE) == [f"the run {cause_text(BARE.cause, BARE.ending)}"]
    assert post_mortem(replace(BARE, level=MIB))[1:] == [
        "  running          no test yet, at 1.0 MiB",
        "  raised for good         +0 B  no test: before the first one, or between tests",
    ]
    assert "no test, after 3 tests, at" in post_mortem(replace(BARE, level=MIB, tests=3))[1]


def test_without_a_record() -> None:
    """Without a record, only what is known is reported."""
    lost = replace(BARE, worker="gw0", driver="unknown", named="test_a.py::test_b")
    assert post_mortem(lost)[1:] == [
        "  memory           not known: there is no flight record",
        "  running          test_a.py::test_b, as pytest-xdist says",
        "  try              pytest -n0 --mem test_a.py::test_b",
        "                     shows what it needs when it runs alone",
    ]
    assert advice(replace(lost, named="")) == []


def test_short() -> None:
    """The first lines are those that matter most."""
    assert short(LOST)[1:] == [
        f"memory: driven by {ROWS}test_cache, an earlier test",
        "  it raised the level by 250.0 MiB for good",
        f"running: {ROWS}test_next, for 1.2 s",
        "  from 350.0 MiB up to at most 400.0 MiB (+50.0 MiB)",
        f"  (pytest-xdist names {ROWS}test_other)",
    ]


@pytest.mark.parametrize("text", ["\x1b[31m", "::error::x\n", "a\nb"])
def test_hostile(text) -> None:
    """Names of tests can neither break lines nor give commands."""
    bad = replace(LOST, driver_test=text, running=text, raised=(), named=text)
    for line in (*post_mortem(bad), *short(bad)):
        assert line.isprintable()
        assert not line.startswith("::")


def test_markdown() -> None:
    """A summary counts lost workers, and says everything about each."""
    text = markdown(replace(RUN, lost=(LOST,)), top=3, limit=SUMMARY_LIMIT)
    assert ", 1 lost worker" in text.splitlines()[0]
    assert f"| **fails** | `{ROWS}test_cache` | gw0 was killed by the kernel" in text
    assert f"- raised for good: `{ROWS}test_cache` +250.0 MiB" in text
    html = MarkdownIt().render("\n\n".join("\n".join(b) for b in lost_markdown([LOST, BARE])))
    assert html.count("<li>") == 9
    assert lost_markdown([]) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"result": "passed"}, "passes alone with 3.00 GiB", id="passed"),
        pytest.param({"result": "passed", "highest": None}, "passes alone", id="not-known"),
        pytest.param({"result": "skipped"}, "is skipped alone", id="skipped"),
        pytest.param({"result": "failed"}, "fails alone with 3.00 GiB", id="failed"),
        pytest.param(
            {"result": "not-alone"}, "then run again by pytest-xdist, beside others", id="xdist"
        ),
        pytest.param({"result": "killed"}, "is killed alone with 3.00 GiB, too", id="killed"),
    ],
)
def test_once_more(changes, text) -> None:
    """How the test ended when it ran alone is one sentence."""
    alone = RunAlone(nodeid="a", result="passed", workers=8, highest=3 * GIB)
    assert alone_text(replace(alone, **changes)) == f"killed with 8 workers, {text}"
    assert alone_text(replace(alone, workers=1)).startswith("killed with 1 worker, ")


@pytest.mark.parametrize(
    ("result", "level"), [("passed", "warning"), ("skipped", "warning"), ("failed", "error")]
)
def test_notice_of_a_test_that_passes_alone(result, level) -> None:
    """A lost worker whose test passes alone is a warning."""
    alone = RunAlone(nodeid="a", result=result, workers=8)
    (notice,) = notices(replace(RUN, outcomes=(), lost=(replace(LOST, alone=alone),)))
    assert level == notice.level
    assert f"a: {alone_text(alone)}" in notice.text


def test_notice() -> None:
    """A lost worker is an error at the test that drove it, or was running."""
    (notice,) = notices(replace(RUN, outcomes=(), lost=(LOST,)))
    assert (
        notice.level,
        notice.rule,
        notice.file,
    ) == ("error", "lost-worker", "tests/test_rows.py")
    assert headline(LOST) == notice.text
    (bare,) = notices(replace(RUN, outcomes=(), lost=(BARE,)))
    assert (bare.nodeid, bare.file) == ("the run", "")


def test_when() -> None:
    """A moment is written in UTC."""
    assert when_text(1_796_011_200.9) == "2026-11-30 04:00:00 UTC"
