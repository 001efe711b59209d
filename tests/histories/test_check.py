"""Tests of the harness: it is right about a small history, and it can fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.histories.check import Checker, checker
from tests.histories.model import Case, Fixture, History, Operation
from tests.histories.verdict import Verdict

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the truth is read from /proc")

ALLOCATE = Operation("allocate", ("mmap", 8, "plain"))
FAIL = Operation("fail", ("mmap", 8, "plain"))
SIMPLE = History(
    (
        Case((ALLOCATE,), factor=2.0),
        Case((ALLOCATE,), factor=0.5),
        Case((FAIL,), factor=0.5),
        Case((ALLOCATE,), factor=None, place="class"),
        Case((ALLOCATE,), factor=0.95, place="module"),
        Case((), factor=2.0, fixture=Fixture("module", "mmap", 4, "cycle")),
    )
)
HIDDEN = History(
    (
        Case((Operation("thin_out", ("lists", 8, "a")),)),
        Case((Operation("allocate", ("lists", 4, "plain")),), factor=0.5),
    )
)


@pytest.fixture(scope="module")
def checking() -> Iterator[Checker]:
    """What checks histories."""
    with checker() as checking:
        yield checking


def test_verdicts_of_a_history(checking) -> None:
    """Tests that are far from their limits, or close, or have none, are recognized as such."""
    expected = [
        Verdict.WITHIN,
        Verdict.CAUGHT,
        Verdict.REPORTED,
        Verdict.UNLIMITED,
        Verdict.CLOSE,
        Verdict.WITHIN,
    ]
    assert expected == [test.verdict for test in checking.check(SIMPLE).tests]


def test_histories_do_not_touch_each_other(checking) -> None:
    """What one history leaves behind is not there for the next."""
    keep = Case((Operation("keep", ("mmap", 8, "cycle", "a")),), factor=2.0)
    drop = Case((Operation("drop", ("a",)), ALLOCATE), factor=0.5)
    checking.check(History((keep, keep)))
    assert Verdict.CAUGHT is checking.check(History((drop,))).tests[0].verdict


def test_whole_plugin_passes_what_a_broken_one_does_not(checking) -> None:
    """A plugin that does not know of slack is caught, and ours is right."""
    assert not checking.check(HIDDEN).faults
    with checker(["-p", "tests.histories.broken"]) as breaking:
        (fault,) = breaking.check(HIDDEN).faults
    assert fault.verdict is Verdict.SILENT


def test_report_is_a_list_and_files(checking) -> None:
    """A report has operations, numbers, what the plugin says, and files to repeat it."""
    text = str(checking.check(SIMPLE))
    for part in (
        ", failed with BudgetExceeded\n        allocate('mmap', 8, 'plain')\ntest_2",
        "        allocate('mmap', 8, 'plain')",
        "        Fixture(scope='module', kind='mmap', size=4, holder='cycle')",
        "(over-budget)",
        "--- test_1.py",
        "    @pytest.mark.mem_budget('",
    ):
        assert part in text
