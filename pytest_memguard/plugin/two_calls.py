"""Calls a test in a process in which no other test has run, and says what that used."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_memguard.isolation import ChildResult
from pytest_memguard.judge.cold_and_warm import TwoCalls
from pytest_memguard.model import Budget, Outcome, Peak
from pytest_memguard.wire import outcome_from_json

Measure = Callable[[pytest.Item, str, bool], Any]
"""Runs a test once more, with a metric beside resident memory, and with memray if so told;
returns its outcome as JSON."""


def call_twice(measure: Measure, item: pytest.Item, request: Mapping[str, Any]) -> Any:
    """Run a test, and once more if the first call does not answer what is asked.

    Args:
        measure: runs it.
        item: the test.
        request: ``loaded``, modules to import first; ``metric``, what is measured beside
            resident memory; ``enough``, bytes up to which one call will do; ``track``,
            whether memray tracks the calls.
    """
    for name in request["loaded"]:
        with contextlib.suppress(Exception):  # one that is made otherwise stays away
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collections of the test need not look at what was there before
    metric, track = request["metric"], request["track"]
    cold = measure(item, metric, track)
    gc.collect()
    once = _passed(cold)
    peak = _peak_of(once) if once is not None else None
    is_enough = peak is not None and peak.high <= request["enough"]
    warm = None if once is None or is_enough else measure(item, metric, track)
    return {"cold": cold, "warm": warm}


def calls_of(answer: ChildResult, budget: Budget) -> tuple[TwoCalls | None, str]:
    """Return the peaks that a budget is on, or why there are none.

    Args:
        answer: what `call_twice` has returned, if it did.
        budget: on the call or one of its stages.
    """
    if answer.problem or not answer.value:
        return None, answer.problem or "it did not get that far"
    cold, warm = (_passed(answer.value[name]) for name in ("cold", "warm"))
    first = _peak_of(cold, budget) if cold is not None else None
    if first is None:
        return None, "it did not pass there"
    second = _peak_of(warm, budget) if warm is not None else None
    return TwoCalls(cold=first, warm=second), ""


def _passed(answer: Any) -> Outcome | None:
    """The outcome of a run that has passed."""
    outcome = outcome_from_json(answer) if answer is not None else None
    return outcome if outcome is not None and outcome.result == "passed" else None


def _peak_of(outcome: Outcome, budget: Budget | None = None) -> Peak | None:
    """The peak of resident memory in the call, or the one that a budget is on."""
    if budget is not None and budget.stage is not None:
        stage = next((s for s in outcome.stages if s.path == budget.stage), None)
        return stage.peak(budget.metric) if stage is not None else None
    call = outcome.phase("call")
    return call.peak() if call is not None else None
