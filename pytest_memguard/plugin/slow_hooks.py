"""Hooks around a test that measure more than the fast path does."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.plugin.last_failure import forget_last_failure

if TYPE_CHECKING:
    from pytest_memguard.plugin.measured_tests import MeasuredTests
    from pytest_memguard.plugin.phases import Phases


class SetupHooks:
    """Measures setup where it has a budget of its own, or something asks for what it uses.

    Where not, its end is enough, for which pytest has a quicker kind of hook; then this one
    says which test it is, if there is a stage in it.

    Args:
        tests: begins to measure them.
        act: acts on what was found.
    """

    def __init__(self, tests: MeasuredTests, act: Callable[..., None]) -> None:
        self._tests = tests
        self._act = act

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure setup."""
        tests, state = self._tests, self._tests.state
        if tests.paused:
            return (yield)
        if not tests.measures_setup_of(item):
            state.open, state.item = "setup", item
            try:
                return (yield)
            finally:
                if not state.is_measured:  # no stage has called for that
                    state.open = None
                    state.item = item if state.is_fast else None
        if forget_last_failure():
            tests.begin_anew()
        measurement = tests.begin(item)
        tests.is_taken = True
        measurement.begin("setup")
        try:
            result = yield
        except BaseException:
            tests.is_taken = False
            self._act(item, "setup", measurement.end("setup"), failed=True)
            raise
        tests.is_taken = False
        self._act(item, "setup", measurement.end("setup"))
        return result


class SlowHooks:
    """The hooks around a test where there is no fast path: those of the slow path themselves.

    Args:
        slow: what is done about a test.

    Attributes:
        pytest_runtest_call: measures the call.
        pytest_runtest_teardown: measures teardown.
    """

    __slots__ = ("pytest_runtest_call", "pytest_runtest_teardown")

    def __init__(self, slow: Phases) -> None:
        self.pytest_runtest_call = slow.call
        self.pytest_runtest_teardown = slow.tear_down
