"""Tests of the look at a test that is like the one before it."""

from __future__ import annotations

import pytest

from pytest_memguard.clock import Clock
from pytest_memguard.measure.instruments import Instruments
from pytest_memguard.plugin.look import Look
from pytest_memguard.plugin.measuring import Measurement
from pytest_memguard.plugin.needs import Demands, Needs
from pytest_memguard.plugin.plans import make_plan
from pytest_memguard.settings import default_budgets, resolve


def test_what_takes_over_in_teardown_begins_there() -> None:
    """A stage in teardown is measured from the start of teardown, not of the call."""
    instruments = Instruments()
    if instruments.mark is None:
        pytest.skip("the kernel keeps no mark here")
    settings = resolve({"budget": ("100", "--mem-budget")})
    demands = Demands(make_plan(default_budgets(settings)), Needs(), bounds=False)

    def call_in(_: object, demands: Demands) -> Measurement:
        return Measurement(demands.plan, instruments, demands.needs, lambda: "")

    look = Look(demands, instruments, None, call_in)
    for phase in ("setup", "call"):
        look.begin(phase)
        look.end(phase)
    before = Clock.seconds()
    look.begin("teardown")
    detail = look.detail_now()
    look.end("teardown")
    assert detail.measured.regions["teardown"].started >= before
    instruments.close()
