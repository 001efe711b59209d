"""Tests of the report on tests that shared the memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.admission import Need, Wait
from pytest_memguard.report.parallel import header_lines, summary_lines, waiting_line
from pytest_memguard.sizes import MIB
from tests.support.sample_values import EXCEEDED, PARALLEL, WAITED

WAIT = Wait(wanted=300 * MIB, taken=900 * MIB, elsewhere=50 * MIB)
WHOLE = """\
parallel: 1000.0 MiB for tests and workers (--mem-parallel)
  waited    1 test, 2.5 s in all; longest 2.5 s in gw1:
            test_a.py::test_waited
            for 300.0 MiB, the baseline
  elsewhere 90.0 MiB at most in other runs, while tests waited
  needs     600.0 MiB at most, beside 240.0 MiB that the processes held
  real sum  800.0 MiB at most (PSS)
  exceeded  1 test used far more than counted:
            test_a.py::test_large
            310.0 MiB instead of 20.0 MiB, the median of this run
  try       declare what these tests need: @pytest.mark.mem_needs"""


def test_whole_summary() -> None:
    """Each known number has a row of its own."""
    assert "\n".join(summary_lines(PARALLEL)) == WHOLE


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({"waited": ()}, "  waited    no test", id="none-waited"),
        pytest.param(
            {"waited": (WAITED, WAITED)},
            "  waited    2 tests, 5.0 s in all; longest 2.5 s in gw1:",
            id="two-waited",
        ),
        pytest.param(
            {"waited": (replace(WAITED, worker=""),)},
            "  waited    1 test, 2.5 s in all; longest 2.5 s:",
            id="without-workers",
        ),
        pytest.param(
            {"waited": (replace(WAITED, need=Need(size=0, source="the median of this run")),)},
            "            until another test had shown what tests of this run need",
            id="not-known",
        ),
        pytest.param(
            {"needs": 0}, "  needs     no test was large enough to ask", id="none-asked"
        ),
        pytest.param(
            {"real": 0, "real_is": "this run has no workers"},
            "  real sum  not measured: this run has no workers",
            id="not-measured",
        ),
        pytest.param(
            {"real": 1010 * MIB},
            "  real sum  1010.0 MiB at most (PSS), 10.0 MiB too much",
            id="too-much",
        ),
        pytest.param(
            {"exceeded": (EXCEEDED, EXCEEDED)},
            "  exceeded  2 tests used far more than counted, above all:",
            id="two-exceeded",
        ),
        pytest.param(
            {"exceeded": (), "levels": 501 * MIB},
            "  try       fewer workers (-n): the processes alone held more than half of it",
            id="many-workers",
        ),
    ],
)
def test_rows(changes, line) -> None:
    """Each row has the number, or the reason why there is none."""
    assert line in list(summary_lines(replace(PARALLEL, **changes)))


@pytest.mark.parametrize(
    ("recorded", "last"),
    [
        pytest.param(
            {}, "no need is recorded: the first test without one runs alone", id="none"
        ),
        pytest.param(
            {"the baseline": 1, "the history": 1200},
            "needs: 1 test by the baseline, 1,200 tests by the history",
            id="both",
        ),
    ],
)
def test_header(recorded, last) -> None:
    """The header has the size, why it is that much, and what is recorded."""
    assert list(header_lines(PARALLEL, recorded)) == [
        "parallel: 1000.0 MiB for tests and workers (--mem-parallel)",
        f"parallel: {PARALLEL.reason}",
        f"parallel: {last}",
    ]


def test_header_of_a_given_size() -> None:
    """A size that the user gave needs no reason."""
    assert len(list(header_lines(replace(PARALLEL, reason=""), {}))) == 2


@pytest.mark.parametrize(
    ("worker", "begins"),
    [
        pytest.param("gw3", "[gw3] waits for", id="worker"),
        pytest.param("", "waits for", id="none"),
    ],
)
def test_waiting(worker, begins) -> None:
    """The line for a test that waits has what it waits for, and is one line."""
    line = waiting_line(worker, "test_a.py::test_b[\n]", WAIT, 1000 * MIB)
    assert line.startswith(f"{begins} 300.0 MiB: test_a.py::test_b[")
    assert line.endswith(" (900.0 MiB of 1000.0 MiB taken, 50.0 MiB by other runs)")
    assert "\n" not in line
