"""A pytest plugin that times a test's own protocol, a repetition, and a whole clean check."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Generator
from pathlib import Path
from statistics import median

import pytest
from _pytest.runner import runtestprotocol

from pytest_memguard.plugin.repeating.repeats import RepeatedItem, StandIn
from pytest_memguard.recording.check import LeakCheck
from pytest_memguard.recording.limits import Limits

_TIMES = 2000
_CHECKS = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write."""
    parser.addoption("--protocol-costs", type=Path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Time repetitions and clean checks once the test has passed for the first time."""
    result = yield
    path = item.config.getoption("--protocol-costs")
    if path not in _COSTS:
        _COSTS[path] = costs = {}
        repeated = RepeatedItem(item)
        with repeated:
            repeated.tear_down()
            gc.collect()
            costs["repetition"] = _microseconds(repeated, _TIMES)
            check = LeakCheck()
            calls = check.run(repeated, Limits()).calls
            costs["check"] = _microseconds(lambda: check.run(repeated, Limits()), _CHECKS)
            costs["check"] /= calls
        repeated.set_up()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Time the protocol once the test is over; modules and session stay up in between."""
    result = yield
    path = item.config.getoption("--protocol-costs")
    stand_in = StandIn(item)
    _COSTS[path]["protocol"] = _microseconds(
        lambda: runtestprotocol(item, log=False, nextitem=stand_in), _TIMES
    )
    path.write_text(json.dumps(_COSTS[path]))
    return result


_COSTS: dict[Path, dict[str, float]] = {}


def _microseconds(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.process_time_ns()
        call()
        taken.append(time.process_time_ns() - start)
    return median(taken) / 1000
