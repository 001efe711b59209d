"""Tests of the plugin by random histories of tests: none may be judged wrongly."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.histories.check import Checker, checker
from tests.histories.search import search

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the truth is read from /proc")

HISTORIES = 500
PARTS = 5
"""Parts, so that several workers can take one."""


@pytest.fixture(scope="module", params=["pinned", "moving"])
def checking(request: pytest.FixtureRequest) -> Iterator[Checker]:
    """What checks histories; the thresholds of the C library stay or move."""
    with checker(pinned=request.param == "pinned") as checking:
        yield checking


@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_is_judged_wrongly(checking, part) -> None:
    """No test passes in silence above its limit or fails below it, whatever ran before."""
    wrong = search(checking, part, HISTORIES // PARTS // 2)
    if wrong is not None:
        pytest.fail(str(wrong), pytrace=False)
