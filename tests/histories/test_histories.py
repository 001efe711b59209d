"""Tests of the plugin by random histories of tests: none may be judged wrongly."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.histories.check import Checker, checker
from tests.histories.search import search

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the truth is read from /proc")

HISTORIES = 12
PARTS = 2
"""Parts, so that several workers can take one."""


MODES = ("pinned", "moving")
"""Whether the thresholds of the C library stay, or move as they do by themselves."""


@pytest.fixture(scope="module")
def checking(request: pytest.FixtureRequest) -> Iterator[Checker]:
    """What checks histories in one of the modes."""
    with checker(pinned=request.param == "pinned") as checking:
        yield checking


@pytest.mark.parametrize(
    ("checking", "part"),
    [
        pytest.param(mode, number * PARTS + part, id=f"{mode}-{part}")
        for number, mode in enumerate(MODES)
        for part in range(PARTS)
    ],
    indirect=["checking"],
)
def test_no_history_is_judged_wrongly(checking, part) -> None:
    """No test passes in silence above its limit or fails below it, whatever ran before."""
    wrong = search(checking, part, HISTORIES // PARTS // len(MODES))
    if wrong is not None:
        pytest.fail(str(wrong), pytrace=False)
