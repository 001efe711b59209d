"""The canonical suite: its tests do what their names say, and its command sees it if not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(BENCH)
    canonical = importlib.import_module("canonical")

SEED = 1
UNDECIDED = "t.py::test_x[over]: peak RSS lies between 1 B and 9 B: earlier code (undecided)"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere peaks are sampled, not exact")
def test_suite():
    """No test of the suite passes over its budget without a line, or fails within it.

    That no second measurement confirms what is over takes less time, and shows more.
    """
    flags = ("--interleave", canonical.JSON, "--mem-confirm=0")
    outcome = canonical.run(sys.executable, SEED, flags)
    assert not outcome.wrong
    assert outcome.counts["xfailed"] + len(outcome.undecided) >= 90


@pytest.mark.parametrize(
    ("output", "undecided", "wrong"),
    [
        pytest.param("1 passed in 1s", 0, 0, id="green"),
        pytest.param("FAILED t.py::test_x[within]\n1 failed in 1s", 0, 1, id="false-alarm"),
        pytest.param("NO BREACH t.py::test_x[over]\n1 passed in 1s", 0, 1, id="silent-pass"),
        pytest.param(
            f"{UNDECIDED}\nNO BREACH t.py::test_x[over]\n1 passed in 1s", 1, 0, id="undecided"
        ),
        pytest.param("usage: pytest", 0, 1, id="no-run"),
    ],
)
def test_output(output, undecided, wrong):
    """What pytest prints shows whether a run was green."""
    status = 0 if output == "1 passed in 1s" else 1
    outcome = canonical.judge(status, output, [], 1.0, ())
    assert (undecided, wrong) == (len(outcome.undecided), len(outcome.wrong))
    assert outcome.green == (not undecided and not wrong)


def written(name: str, result: str, *rules: str) -> dict[str, Any]:
    """A test as the file of numbers has it."""
    return {
        "nodeid": f"t.py::{name}",
        "result": result,
        "findings": [{"rule": rule} for rule in rules],
    }


@pytest.mark.parametrize(
    ("test", "right"),
    [
        pytest.param(written("test_x[over]", "xfailed", "over-budget"), True, id="over"),
        pytest.param(written("test_x[over]", "xpassed"), False, id="over-without-finding"),
        pytest.param(
            written("test_x[over]", "xfailed", "over-budget", "over-budget"),
            False,
            id="over-two-budgets",
        ),
        pytest.param(written("test_x[within]", "passed"), True, id="within"),
        pytest.param(
            written("test_x[within]", "failed", "over-budget"), False, id="within-with-finding"
        ),
        pytest.param(
            written("test_x[over]", "xpassed", "undecided"), True, id="counted-as-undecided"
        ),
        pytest.param(written("test_x[over]", "skipped"), True, id="over-that-was-skipped"),
        pytest.param(written("test_overlap", "passed"), True, id="neither"),
        pytest.param(
            written("test_overlap", "passed", "not-measured"), False, id="neither-with-finding"
        ),
    ],
)
def test_findings(test, right):
    """A test over its budget has one breach, and all others have no finding."""
    assert right == (canonical.contradiction(test) == "")


def test_numbers_that_are_missing():
    """A run that was to write numbers and has not is wrong."""
    outcome = canonical.judge(0, "1 passed in 1s", [], 1.0, (canonical.JSON,))
    assert outcome.wrong == ("no numbers were written",)
