"""What to try when a worker was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memguard.model.flights import Ending, RunAlone
from pytest_memguard.report.loss_advice import advice
from tests.support.sample_values import LOST


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"driver": "running"}, "pytest -n0 --mem tests/", id="running"),
        pytest.param({"driver": "several"}, "pytest --mem-leak-check\n  shows", id="several"),
        pytest.param({"driver": "neighbour"}, "fewer workers (-n), so that", id="neighbour"),
        pytest.param({"driver": "unknown"}, "pytest -n0 --mem tests/", id="unknown"),
        pytest.param({"driver": "none"}, "fewer workers (-n), or more memory", id="none"),
        pytest.param(
            {"driver": "none", "cause": "killed", "ending": Ending(signal=9, oom_kills=0)},
            "find out what sent SIGKILL",
            id="killed",
        ),
        pytest.param({"driver": "none", "cause": "crashed"}, "python -X dev", id="crashed"),
        pytest.param({"driver": "none", "cause": "exited"}, "os._exit", id="exited"),
        pytest.param({"driver": "none", "cause": "ended"}, "sent the signal", id="ended"),
        pytest.param({"driver": "none", "cause": "disconnected"}, "what closed", id="silent"),
        pytest.param(
            {"driver": "running", "driver_test": "t.py::t[a b]"}, "'t.py::t[a b]'", id="quoted"
        ),
    ],
)
def test_advice(changes, words) -> None:
    """The advice depends on what is known."""
    assert words in "\n".join(advice(replace(LOST, **changes)))


def test_advice_for_a_test_that_passes_alone() -> None:
    """A test that passes alone needs fewer neighbours."""
    alone = RunAlone(nodeid="a", result="passed", workers=8)
    (line,) = advice(replace(LOST, alone=alone))
    assert line.startswith("fewer workers (-n)")
