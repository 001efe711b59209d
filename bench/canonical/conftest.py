"""Turns the suite around: a test with the word "over" in its name has to exceed its budget."""

from __future__ import annotations

import random
import re

import pytest

from pytest_memguard import BudgetExceeded

_OVER = re.compile(r"(?<![a-z])over(?![a-z])")


def pytest_addoption(parser):
    """Add the flag that mixes the tests of all modules."""
    parser.addoption("--interleave", action="store_true", help="mix the tests of all modules")


def pytest_configure(config):
    """Have the process that sees every report look for breaches that did not happen."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Breaches(), "breaches")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Expect the breaches, and shuffle across modules if the flag asks for it.

    pytest-randomly keeps the tests of a module together.
    """
    for item in items:
        if _OVER.search(item.nodeid):
            item.add_marker(pytest.mark.xfail(raises=BudgetExceeded, strict=False))
    if config.getoption("--interleave"):
        seed = config.getoption("randomly_seed")
        random.Random(seed).shuffle(items)  # noqa: S311  an order, not a secret


class Breaches:
    """Fails the run if a test did not exceed its budget.

    A strict xfail cannot: it fails a test whose breach comes at teardown, and every subtest.
    """

    def __init__(self):
        self._expected, self._seen = set(), set()

    def pytest_runtest_logreport(self, report):
        """Note a breach that was expected, because the test ran, and one that happened."""
        if not _OVER.search(report.nodeid):
            return
        breach = report.skipped and hasattr(report, "wasxfail")
        if breach or (report.when == "call" and not report.skipped):
            self._expected.add(report.nodeid)
        if breach:
            self._seen.add(report.nodeid)

    def pytest_sessionfinish(self, session):
        """Turn the run red if a breach is missing."""
        if self._expected - self._seen and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        """Name the tests without a breach."""
        for nodeid in sorted(self._expected - self._seen):
            terminalreporter.write_line(f"NO BREACH {nodeid}")
