"""What pytest keeps that isolated tests need, in their processes and in that of the run."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

import pytest
from _pytest.runner import CallInfo
from _pytest.skipping import evaluate_xfail_marks, xfailed_key

from pytest_memguard.plugin.pytest_internals.items import setup_nodes

_NOTICED_SECONDS: Final = 0.1
"""A phase that was shorter makes no difference to plugins that add up durations."""


def leave_reports_to(
    config: pytest.Config, names: Container[str], kept: Container[Any]
) -> None:
    """Let only some plugins hear what is reported in this process.

    Args:
        config: the configuration of pytest.
        names: of the hooks by which things are reported.
        kept: the plugins that hear of it.
    """
    for name, caller in vars(config.hook).items():
        if name in names:
            for implementation in list(caller.get_hookimpls()):
                if implementation.plugin not in kept:
                    caller._remove_plugin(implementation.plugin)


def prepare_temp_folder(config: pytest.Config) -> None:
    """Make the folder of the run's temporary folders; every child would make one of its own."""
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        factory.getbasetemp()


def share_memory(report: Any, item: Any, first: pytest.TestReport | None) -> None:
    """Let a report that has come from another process have what others have as well.

    pytest keeps all reports to the end of the run.

    Args:
        report: that one.
        item: its test.
        first: the first report of the same test; ``None`` if it is that.
    """
    if report.nodeid == item.nodeid:
        name = "_id" if hasattr(report, "_id") and hasattr(item, "_id") else "nodeid"
        setattr(report, name, getattr(item, name))  # from pytest 9.2 on it has several parts
    location = tuple(report.location)
    report.location = item.location if location == item.location else location
    if first is not None and report.keywords == first.keywords:
        report.keywords = first.keywords
    elif report.keywords == (keywords := dict.fromkeys(item.keywords, 1)):
        report.keywords = keywords  # of the same strings as those of the test


def forget_unread(config: pytest.Config, report: pytest.TestReport) -> None:
    """Let the terminal not keep a passed setup or teardown of which it shows nothing.

    pytest keeps all reports to the end of the run. Without ``--durations``, it never shows
    these, unless they have captured output.

    Args:
        config: the configuration of pytest.
        report: all plugins have it.
    """
    is_shown = report.when == "call" or not report.passed or report.sections
    if is_shown or report.duration >= _NOTICED_SECONDS or config.option.durations is not None:
        return
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    kept = terminal.stats.get("") if terminal is not None else None
    if kept and kept[-1] is report:
        del kept[-1]


def captured_output(config: pytest.Config) -> tuple[str, str]:
    """Take what has been captured of a process that died, as far as it went through files."""
    manager: Any = config.pluginmanager.getplugin("capturemanager")
    if manager is None or not manager.is_globally_capturing():
        return "", ""
    out, err = manager.read_global_capture()
    return str(out), str(err)


def note_xfail(item: pytest.Item) -> None:
    """Let the report of a test that did not run in this process respect its xfail marks."""
    item.stash[xfailed_key] = evaluate_xfail_marks(item)


def failed_call(error: Exception, when: str, start: float, seconds: float) -> CallInfo[None]:
    """The call of a phase that has failed elsewhere.

    Args:
        error: what it failed with.
        when: the phase.
        start: seconds since 1970 when it began.
        seconds: how long it took.
    """

    def fail() -> None:
        raise error

    call: CallInfo[None] = CallInfo.from_call(fail, when)  # type: ignore[arg-type]
    call.start, call.stop, call.duration = start, start + seconds, seconds
    return call


def passed_call(when: str) -> CallInfo[None]:
    """The call of a phase in which nothing happened."""
    return CallInfo.from_call(_do_nothing, when)  # type: ignore[arg-type]


def tear_down(session: Any, nextitem: pytest.Item | None) -> CallInfo[None] | None:
    """Tear down what tests have set up in this process and the next one does not need.

    Args:
        session: the session of pytest.
        nextitem: the next test.

    Returns:
        What has become of it, if there was anything.
    """
    needed = nextitem.listchain() if nextitem is not None else []
    if all(node in needed for node in setup_nodes(session)):
        return None
    return CallInfo.from_call(lambda: session._setupstate.teardown_exact(nextitem), "teardown")


def _do_nothing() -> None:
    """Pass."""
