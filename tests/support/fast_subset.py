"""Marks the slow tests, and fails a whole run in which the others take too large a part of it.

A plug-in of the test suite. Tests in the folders below start programs or runs of pytest, and
are slow unless they are marked as fast; all others are fast unless they are marked as slow.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support import fresh_process

SLOW_FOLDERS = ("tests/bench/", "tests/histories/", "tests/plugin/")
LONGEST = ("test_canonical.py", "test_lint.py", "test_workflows.py")
LARGEST_SHARE = 0.25
"""The most that the fast tests may use of the CPU time of all."""
_started = pytest.StashKey[float]()


def _cpu_seconds() -> float:
    """What this process, its children and the forks of its servers have used."""
    return sum(os.times()[:4]) + fresh_process.cpu_seconds()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note how much was used before a test."""
    item.stash[_started] = _cpu_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add what a test has used, and whether it is slow, to its last report."""
    report = yield
    if call.when == "teardown":
        report.kind = "slow" if item.get_closest_marker("slow") else "fast"
        report.cpu_seconds = _cpu_seconds() - item.stash[_started]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, and let the longest be first, so that no worker waits in the end."""
    for item in items:
        if item.nodeid.startswith(SLOW_FOLDERS) and not item.get_closest_marker("fast"):
            item.add_marker("slow")
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_configure(config: pytest.Config) -> None:
    """Add up in the process that reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Sum(whole=is_whole(config)))


def is_whole(config: pytest.Config) -> bool:
    """Whether the run is one of all tests."""
    options = config.known_args_namespace
    chosen = (options.markexpr, options.keyword, getattr(options, "lf", False))
    return config.args_source is config.ArgsSource.TESTPATHS and not any(chosen)


class Sum:
    """The CPU time of the fast and of the slow tests.

    Args:
        whole: whether the run is one of all tests.
    """

    def __init__(self, *, whole: bool) -> None:
        """Begin with none."""
        self._whole = whole
        self._tests: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add those of a test."""
        if report.when == "teardown":
            self._tests[report.kind] += 1
            self._seconds[report.kind] += report.cpu_seconds

    def problem(self) -> str:
        """What is wrong with the fast tests, or nothing."""
        fast = self._seconds["fast"]
        if not self._whole or fast <= LARGEST_SHARE * self._seconds.total():
            return ""
        return f"the fast tests used more than {LARGEST_SHARE:.0%}: mark some of them as slow"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run of which the fast tests are too large a part."""
        if self.problem() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what both have used."""
        for kind, tests in sorted(self._tests.items()):
            seconds = self._seconds[kind]
            terminalreporter.write_line(f"{kind} tests: {tests:,}, {seconds:.0f} s of CPU")
        if self.problem():
            terminalreporter.write_line(self.problem(), red=True)
