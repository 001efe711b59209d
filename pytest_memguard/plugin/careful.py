"""Hooks around a test that measure more than a quick look does."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.plugin.looks import Looks
from pytest_memguard.plugin.quick import Care
from pytest_memguard.plugin.running import Running


class SetupHooks:
    """Measures setup where it has a budget of its own, or somebody wants to know.

    Where not, its end is enough, for which pytest has a quicker kind of hook; then this one
    says which test it is, if there is a stage in it.

    Args:
        running: the test that runs.
        looks: makes the look at a test.
        act: acts on what was found.
    """

    def __init__(self, running: Running, looks: Looks, act: Callable[..., None]) -> None:
        self._running = running
        self._looks = looks
        self._act = act

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure setup."""
        looks, running = self._looks, self._running
        if looks.paused:
            return (yield)
        if not looks.measures_setup_of(item):
            running.phase, running.item = "setup", item
            try:
                return (yield)
            finally:
                running.phase = running.item = None
        if forget_last_failure():
            looks.begin_anew()
        look = looks.make(item)
        running.is_taken = True
        look.begin("setup")
        try:
            result = yield
        except BaseException:
            running.is_taken = False
            self._act(item, look, "setup", look.end("setup"), failed=True)
            raise
        running.is_taken = False
        self._act(item, look, "setup", look.end("setup"))
        return result


class CarefulHooks:
    """The hooks around a test where there is no quick look.

    Args:
        care: what is done about a test.
    """

    def __init__(self, care: Care) -> None:
        self._care = care

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure the call."""
        return (yield from self._care.call(item))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Measure teardown."""
        return (yield from self._care.tear_down(item, nextitem))
