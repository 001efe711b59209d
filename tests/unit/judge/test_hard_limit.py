"""The text about a test that a hard budget has stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.judge.hard_limit import cause_not_known, hard_limit, not_held
from pytest_memguard.model.measurements import Budget, Stop
from pytest_memguard.sizes import MIB
from tests.support.sample_values import rss

BUDGET = Budget(limit=20 * MIB, where="the marker", hard=True)
OF_STAGE = replace(BUDGET, stage="parse")
STOP = Stop(by="kernel limit", used=19 * MIB, file="test_rows.py", line=7, function="load")
START = "the hard budget of 20.0 MiB set by the marker"
PLACE = "in load, test_rows.py:7"
END = ": it asked for more when it had reserved 19.0 MiB"


@pytest.mark.parametrize(
    ("budget", "stop", "text"),
    [
        pytest.param(BUDGET, STOP, f"{START} stopped the test {PLACE}{END}", id="plain"),
        pytest.param(
            BUDGET,
            replace(STOP, stage="load/parse", test_line=3, words="Unable to allocate 8 MiB"),
            f"{START} stopped the test {PLACE}, called from line 3 of the test's file, "
            f"in stage 'load/parse'{END}; Unable to allocate 8 MiB",
            id="everything",
        ),
        pytest.param(
            OF_STAGE,
            replace(STOP, stage="parse"),
            "the hard budget of 20.0 MiB for stage 'parse' set by the marker stopped the test "
            f"{PLACE}{END}",
            id="its-own-stage",
        ),
        pytest.param(
            BUDGET,
            replace(STOP, caught=True, thread="worker"),
            f"{START} was reached {PLACE}, in thread 'worker'{END}; it caught the MemoryError "
            "and went on",
            id="caught-in-thread",
        ),
        pytest.param(
            BUDGET,
            Stop(by="kernel limit", used=0, caught=True),
            f"{START} was reached; the test caught a MemoryError and went on",
            id="caught-somewhere",
        ),
        pytest.param(
            BUDGET,
            replace(STOP, by="watchdog", used=21 * MIB),
            f"{START} stopped the test {PLACE}: peak RSS had risen 21.0 MiB",
            id="watchdog",
        ),
        pytest.param(
            BUDGET,
            replace(STOP, used=0),
            f"{START} stopped the test {PLACE}: it asked for more than was left",
            id="one-large-request",
        ),
        pytest.param(
            BUDGET,
            replace(STOP, file="", line=0, function=""),
            f"{START} stopped the test with a MemoryError{END}",
            id="no-line",
        ),
    ],
)
def test_sentence(budget: Budget, stop: Stop, text: str) -> None:
    """The sentence says which budget, where, and how much there was."""
    finding = hard_limit(budget, stop, rss(18))
    assert finding.text == text
    assert (finding.rule, finding.budget, finding.stop) == ("hard-limit", budget, stop)


def test_what_was_hardly_touched_is_said() -> None:
    """Where most of it was reserved alone, the sentence says how much was touched."""
    text = hard_limit(BUDGET, STOP, rss(1)).text
    assert text.endswith("had reserved 19.0 MiB and touched 1.0 MiB: what is reserved counts")


def test_notes_name_the_budget() -> None:
    """Notes about what is not known name the budget, too."""
    assert START in cause_not_known(BUDGET)
    assert not_held(BUDGET).startswith(START)
