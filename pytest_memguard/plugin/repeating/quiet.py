"""Keeps what repetitions of a test say from everybody: reports, logs, assertions, output."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

_REPORTING: Final = frozenset(
    {
        "pytest_runtest_logstart",
        "pytest_runtest_logreport",
        "pytest_runtest_logfinish",
        "pytest_exception_interact",
        "pytest_warning_recorded",
    }
)


class MutedHooks:
    """An item's hooks without those that report; only pytest's own plugins make reports."""

    def __init__(
        self, hooks: Any, makereport: Callable[..., Any], logreport: Callable[..., Any]
    ) -> None:
        self._hooks = hooks
        self.pytest_runtest_makereport = makereport
        self.pytest_runtest_logreport = logreport

    def __getattr__(self, name: str) -> Any:
        hook = _nothing if name in _REPORTING else getattr(self._hooks, name)
        setattr(self, name, hook)
        return hook


def _nothing(**_: object) -> None:
    return None


@contextlib.contextmanager
def quiet_logs(config: pytest.Config) -> Iterator[None]:
    """Keep live logs and the log file to the first run."""
    plugin = config.pluginmanager.getplugin("logging-plugin")
    handlers = [getattr(plugin, name, None) for name in ("log_cli_handler", "log_file_handler")]
    found = [handler for handler in handlers if isinstance(handler, logging.Handler)]
    for handler in found:
        handler.addFilter(_refuse)
    try:
        yield
    finally:
        for handler in found:
            handler.removeFilter(_refuse)


def _refuse(_: logging.LogRecord) -> bool:
    return False


@contextlib.contextmanager
def quiet_descriptors() -> Iterator[None]:
    """Where descriptors are not captured, keep what repetitions print from the terminal."""
    _flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    for number, _ in kept:
        os.dup2(nowhere, number)
    os.close(nowhere)
    try:
        yield
    finally:
        _flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    """Empty the buffers of all that writes to the terminal."""
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__} - {None}:
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
