"""Sets up what holds tests to hard budgets, once everything else is registered."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.measure.hard_limit import HardLimits
from pytest_memguard.measure.held_levels import Holder
from pytest_memguard.measure.loaded_libraries import LoadedLibraries
from pytest_memguard.measure.spared_children import Pause, SparedChildren
from pytest_memguard.measure.stage_host import set_limits
from pytest_memguard.measure.started_threads import StartedThreads
from pytest_memguard.measure.watchdog import INTERVAL_SECONDS, Watchdog
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.hard.hard_phases import (
    HARD,
    HardCallHooks,
    HardFixtureHooks,
    HardPartHooks,
    HeldPhases,
)
from pytest_memguard.plugin.pytest_internals.items import has_parts
from pytest_memguard.probes.data_limit import DataLimit
from pytest_memguard.probes.resident import resident_reader

if TYPE_CHECKING:
    from pytest_memguard.plugin.items import ItemHooks

_CAUGHT: Final = "MemoryErrors that tests catch under a hard budget"


class HardHooks:
    """Registers the hooks around tests inside all that measure them.

    Args:
        config: the configuration of pytest.
        items: measures tests.
        of_call_alone: whether all hard budgets are on calls, and there are no stages.
        all_hard: whether every budget on resident memory is hard, those of stages too.
    """

    def __init__(
        self, config: pytest.Config, items: ItemHooks, *, of_call_alone: bool, all_hard: bool
    ) -> None:
        self._register = config.pluginmanager.register
        self._of_call_alone = of_call_alone
        gaps = items.instruments.gaps
        self._phases: HeldPhases | None = None
        holder = _holder(gaps)
        if holder is None:
            return
        root = f"{config.rootpath}/"
        self._leaves_out = isinstance(holder, DataLimit)
        limits = HardLimits(holder, root, _Rise(items), stages_are_hard=all_hard)
        if self._leaves_out:
            _notice_caught(limits, gaps)
        self._phases = HeldPhases(items.tests, limits, gaps, self._register, all_hard=all_hard)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Register them, and put back afterwards what they need."""
        phases = self._phases
        if phases is None:
            return (yield)
        if any(map(has_parts, session.items)):
            self._register(HardPartHooks(phases.limits), "memguard-hard-parts")
        self._register(HardCallHooks(phases), "memguard-hard-call")
        if not self._of_call_alone:
            self._register(HardFixtureHooks(phases), "memguard-hard-fixtures")
        with contextlib.ExitStack() as stack:
            self._prepare(phases.limits, stack)
            return (yield)

    def _prepare(self, limits: HardLimits, stack: contextlib.ExitStack) -> None:
        """Take stages, children and libraries into account until the stack is left."""
        stack.callback(set_limits, set_limits(limits))
        held = limits.held
        pause = Pause(before=held.pause, after=held.go_on, in_child=held.forget)
        stack.callback(SparedChildren(pause).close)
        if self._leaves_out:
            stack.callback(LoadedLibraries(held).close)
            stack.callback(StartedThreads(held).close)
        if limits.errors is not None:
            stack.callback(limits.errors.close)
        if limits.arrays is not None:
            stack.callback(limits.arrays.close)


def _holder(gaps: list[Gap]) -> Holder | None:
    """What holds this process to a level; a gap says so if it is not the kernel."""
    try:
        return DataLimit()
    except Unmeasurable as error:
        reason = str(error)
    try:
        watchdog = Watchdog(resident_reader())
    except Unmeasurable as error:
        gaps.append(Gap(subject=HARD, reason=f"{reason}, and {error}: no test is stopped"))
        return None
    gaps.append(
        Gap(
            subject=f"{HARD} by the kernel's limit on data",
            reason=f"{reason}; a thread reads resident memory every "
            f"{INTERVAL_SECONDS * 1000:g} ms and raises MemoryError in the test, but not "
            "before code in C returns",
        )
    )
    return watchdog


def _notice_caught(limits: HardLimits, gaps: list[Gap]) -> None:
    """Notice MemoryErrors that tests catch, as far as this interpreter lets us."""
    reason = "before Python 3.12 those of classes of their own, except numpy's, are not noticed"
    try:
        if sys.version_info >= (3, 12):
            from pytest_memguard.probes.raised_errors import RaisedErrors

            limits.errors = RaisedErrors(limits.hits.note)
            return
        from pytest_memguard.probes.array_errors import ArrayErrors
        from pytest_memguard.probes.used_errors import UsedErrors

        limits.arrays = ArrayErrors(partial(limits.hits.note, by_catcher=True))
        limits.use(UsedErrors())
    except Unmeasurable as error:
        reason = str(error)
    gaps.append(Gap(subject=_CAUGHT, reason=reason))


class _Rise:
    """Reads how far resident memory has risen in the phase that lasts.

    Args:
        items: measures tests.
    """

    def __init__(self, items: ItemHooks) -> None:
        self._state = items.tests.state
        self._mark = items.instruments.mark

    def __call__(self) -> int:
        """Return the bytes by which the mark is above the level at the start; 0 without one."""
        begun = self._state.begun()
        return self._mark.mark() - begun[-1].base if self._mark and begun else 0
