"""Skips tests that need more memory than there is."""

from __future__ import annotations

import gc

import pytest

from pytest_memguard.allocator.trim import Trimmer
from pytest_memguard.checks.needs.check import NeedsCheck
from pytest_memguard.checks.needs.marker import MARKER, DeclaredNeeds
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.keys import EXPECTED, ITEMS
from pytest_memguard.plugin.marked_items import MarkedItem
from pytest_memguard.probes.ended_children import ended_children
from pytest_memguard.probes.memory_limit import memory_limit
from pytest_memguard.probes.own_children import PIDS
from pytest_memguard.probes.resident import resident_reader
from pytest_memguard.sizes import format_size


def skip_impossible(session: pytest.Session) -> None:
    """Mark the tests that need more than the container or machine has, for pytest to skip.

    Args:
        session: its tests are known.
    """
    limit = memory_limit()
    declared, problems = DeclaredNeeds(), list[str]()
    for item in session.items:
        size = declared.of(MarkedItem(item), problems)
        if limit is not None and size > limit.size:
            reason = f"it needs {format_size(size)}, and {limit.source} has"
            item.add_marker(pytest.mark.skip(reason=f"{reason} {format_size(limit.size)}"))
    if limit is None:
        reason = "this system does not report its memory: no test is skipped for what it needs"
        session.config.stash[ITEMS].instruments.gaps.append(
            Gap(subject="the memory of this machine", reason=reason)
        )


def needs_check(config: pytest.Config, *, are_declared: bool) -> NeedsCheck:
    """Return the check of what tests declare.

    Args:
        config: the configuration of pytest.
        are_declared: whether any test declares something.
    """
    expected = config.stash.get(EXPECTED, None)
    children = ChildrenOfTest()
    if are_declared:
        config.pluginmanager.register(children, "memguard-children-of-test")
    return NeedsCheck(
        (lambda _: False) if expected is None else expected.is_watched,
        _settled_level,
        children.are_there,
    )


class ChildrenOfTest:
    """Notices child processes of tests that declare what they need."""

    def __init__(self) -> None:
        self._before: tuple[set[int], int] = set(), 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note the children that are there before such a test."""
        if item.get_closest_marker(MARKER) is not None:
            self._before = self._now()

    def are_there(self) -> bool:
        """Whether the test has started children, or some have ended during it."""
        living, faults = self._now()
        return bool(living - self._before[0]) or faults != self._before[1]

    def _now(self) -> tuple[set[int], int]:
        import psutil

        living = {child.pid for child in psutil.Process().children()}
        return living - PIDS, ended_children().faults


def _settled_level() -> int:
    """Return the resident bytes of this process, after what is free has been released."""
    gc.collect()
    try:
        level = resident_reader()
        Trimmer(level)(-1)
        return level()
    except Unmeasurable:
        return 0
