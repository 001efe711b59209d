"""Tests of comparing tests that had no findings about the baseline while they ran."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.checks.regression.comparison import Comparison
from pytest_memguard.judge.readings import environment_key
from pytest_memguard.model.baselines import Baseline, BaselineEntry
from pytest_memguard.model.measurements import Peak, PhaseReading
from pytest_memguard.model.results import Outcome
from pytest_memguard.options.rules import closest
from pytest_memguard.sizes import MIB
from tests.support.sample_values import RUN, rss

NODEID = "test_it.py::test_it"


@pytest.mark.parametrize(
    ("entry", "peak"),
    [
        pytest.param(BaselineEntry(peak=MIB // 8, growth=0), rss(0.25, 8), id="of-the-reading"),
        pytest.param(
            BaselineEntry(peak=MIB, growth=0, ceiling=8 * MIB), rss(5), id="on-record"
        ),
    ],
)
def test_upper_bounds(entry: BaselineEntry, peak: Peak) -> None:
    """A test without a finding about the baseline counts as before, whatever its bounds."""
    call = PhaseReading(name="call", seconds=1, level=MIB, growth=0, peaks=(peak,))
    outcome = Outcome(nodeid=NODEID, file="test_it.py", line=1, phases=(call,))
    environment = environment_key(RUN.environment)
    comparison = Comparison(
        Baseline(environments={environment: {NODEID: entry}}), closest(), ""
    )
    comparison.add_run(replace(RUN, outcomes=(outcome,)))
    assert comparison.counts() == "1 as before"
