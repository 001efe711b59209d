"""Tests of how a history is simplified."""

from __future__ import annotations

from tests.histories.model import Case, Fixture, History, Operation
from tests.histories.simplify import simplify

KEEP = Operation("keep", ("mmap", 4, "cycle", "a"))
DROP = Operation("drop", ("a",))
FIXTURE = Fixture("class", "mmap", 4, "plain")


def test_only_what_matters_is_left() -> None:
    """Tests, operations, fixtures, places and limits go if it is wrong without them."""
    history = History(
        (
            Case((DROP,), factor=0.5),
            Case((KEEP, DROP, KEEP), factor=2.0, place="module", fixture=FIXTURE),
            Case(),
            Case((DROP, KEEP), factor=0.5, place="class", fixture=FIXTURE),
        ),
        seconds=10,
    )

    def is_wrong(tried: History) -> bool:
        first, last = tried.cases[0], tried.cases[-1]
        kept = any(KEEP in case.operations for case in tried.cases[:-1])
        return kept and first is not last and DROP in last.operations and last.factor == 0.5

    simple = History((Case((KEEP,)), Case((DROP,), factor=0.5)))
    assert simple == simplify(history, is_wrong=is_wrong)


def test_one_test_remains() -> None:
    """A history never loses its last test."""
    assert History((Case(),)) == simplify(History((Case(), Case())), is_wrong=lambda _: True)
