"""What pytest's own plugins keep: XML of tests, subtests that failed, a copy of stderr."""

from __future__ import annotations

import sys
from typing import Any

import pytest


def xml_reporters(config: pytest.Config) -> list[Any] | None:
    """What makes the XML of each test of a JUnit file, in order; None where there is none."""
    from _pytest.junitxml import xml_key

    xml: Any = config.stash.get(xml_key, None)
    reporters: list[Any] | None = getattr(xml, "node_reporters_ordered", None)
    return reporters


def forget_xml(config: pytest.Config, report: pytest.TestReport) -> None:
    """Let a JUnit file not have what it has of a report."""
    from _pytest.junitxml import xml_key

    xml: Any = config.stash.get(xml_key, None)
    if xml is not None:
        reporter = xml.node_reporter(report)
        xml.node_reporters = {k: v for k, v in xml.node_reporters.items() if v is not reporter}
        xml.node_reporters_ordered.remove(reporter)


def forget_failed_subtests(item: pytest.Item) -> None:
    """Let a test count as passed though a subtest of a later run has failed."""
    key: Any = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
    if key is not None:
        failed: dict[Any, Any] = item.config.stash.get(key, {})
        failed.pop(getattr(item, "id", item.nodeid), None)


def failed_subtests(item: pytest.Item) -> int:
    """How many subtests of a test have failed that count as failures of the test."""
    key: Any = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
    failed: dict[Any, int] = item.config.stash.get(key, {}) if key is not None else {}
    return failed.get(getattr(item, "id", item.nodeid), 0)


def note_failed_subtests(item: pytest.Item, count: int) -> None:
    """Let a test count as failed because subtests of it have failed in another process."""
    key: Any = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
    if key is not None:
        item.config.stash[key][getattr(item, "id", item.nodeid)] = count


def faulthandler_stderr(config: pytest.Config) -> int:
    """The descriptor to which faulthandler writes, which no capturing catches."""
    from _pytest.faulthandler import fault_handler_stderr_fd_key

    return config.stash[fault_handler_stderr_fd_key]


def begin_line(terminal: Any) -> None:
    """Begin a line, if the one of the terminal has the results of tests.

    Args:
        terminal: pytest's reporter.
    """
    terminal.ensure_newline()
    if getattr(terminal, "_width_of_current_line", 0):
        terminal._tw.line()


def builtin_hook(config: pytest.Config, name: str) -> Any:
    """A hook that calls pytest's own plugins alone."""
    manager = config.pluginmanager
    others = [
        plugin
        for plugin in manager.get_plugins()
        if not module_of(plugin).startswith("_pytest.")
    ]
    return manager.subset_hook_caller(name, others)


def module_of(plugin: object) -> str:
    """Return the name of the module that a plugin is, or that has its class."""
    if isinstance(plugin, type(sys)):
        return plugin.__name__
    return type(plugin).__module__
