"""What pytest restores around each test, restored around each repetition of one."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_memguard.plugin.pytest_internals.assertions import (
    assertion_hooks,
    set_assertion_hooks,
)
from pytest_memguard.plugin.pytest_internals.plugins import faulthandler_stderr

_enlarged = (0, 0, 0)
"""The dict of the environment variables when it was last enlarged."""


class Restored:
    """Puts back what a test has changed and pytest undoes once the test is over.

    That is done by wrappers around the whole protocol of a test, which a repetition does not
    pass through: the filters of warnings and what shows them; the functions that rewritten
    assertions call; the timer of faulthandler.

    Args:
        config: the configuration of pytest.
        filters: the filters of warnings before the test's first call.
    """

    def __init__(self, config: pytest.Config, filters: list[Any]) -> None:
        self._filters = filters
        self._config = config
        self._timeout = _timeout(config)
        self._folder = ""

    @contextlib.contextmanager
    def around_repetitions(self) -> Iterator[None]:
        """Leave everything behind as the first run has left it.

        Finalisers that warn when garbage is collected between two repetitions are ignored:
        pytest would keep each of their warnings, which would be growth.
        """
        hooks = assertion_hooks()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                set_assertion_hooks(hooks)
                self._return_to_folder()
        self._start_timer()

    def note_folder(self) -> None:
        """Note the working directory that the first run has left behind."""
        try:
            self._folder = os.getcwd()  # noqa: PTH109  a path would be kept in a cache
        except OSError:  # it is gone
            self._folder = ""

    def _return_to_folder(self) -> None:
        """Return to the working directory of the first run, if repetitions have left it."""
        if self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)

    def around_one(self) -> AsBefore:
        """Begin as before the first call, and keep warnings to ourselves."""
        self._start_timer()
        return self.around_phase()

    def around_phase(self) -> AsBefore:
        """Do so around a part of a run, for which the timer goes on."""
        return AsBefore(self._filters)

    def _start_timer(self) -> None:
        """Let faulthandler wait for this repetition as it waits for a test."""
        if self._timeout > 0:
            import faulthandler

            stderr = faulthandler_stderr(self._config)
            ends = _ends_process(self._config)
            faulthandler.dump_traceback_later(self._timeout, file=stderr, exit=ends)


class AsBefore:
    """A context that begins as before a test's first call; warnings in it are dropped.

    It is entered around each repetition: a generator would take three times as long.

    Args:
        filters: the filters of warnings before that call.
    """

    __slots__ = ("_filters", "_hooks", "_warnings")

    def __init__(self, filters: list[Any]) -> None:
        self._filters = filters
        self._hooks = assertion_hooks()
        self._warnings = warnings.catch_warnings(record=True)

    def __enter__(self) -> None:
        self._warnings.__enter__()
        warnings.filters[:] = self._filters  # type: ignore[index]

    def __exit__(self, *_: object) -> None:
        set_assertion_hooks(self._hooks)
        self._warnings.__exit__(None, None, None)


def enlarge_environ() -> None:
    """Let the dict of the environment variables grow to the size at which it stays.

    pytest adds PYTEST_CURRENT_TEST to it in each call and removes it. A dict takes the place of
    a removed key again only when it has no other left, and is made anew then, with room for
    three times its keys. Of 43 to 85 variables, for one, it would grow after dozens of calls.
    One that has as many keys as the last time, and still that size, has it for good.
    """
    global _enlarged  # noqa: PLW0603  a process has one environment
    variables: Any = getattr(os.environ, "_data", None)
    if not isinstance(variables, dict):
        return
    if _enlarged == _extent(variables):
        return
    key: Any = os.environ.encodekey("PYTEST_MEMGUARD_LEAK_CHECK")
    for _ in range(5 * len(variables) + 8):
        variables[key] = key
        del variables[key]
    _enlarged = _extent(variables)


def _extent(variables: dict[Any, Any]) -> tuple[int, int, int]:
    """Return which dict it is, the number of its keys, and its size in bytes."""
    return id(variables), len(variables), sys.getsizeof(variables)


def _timeout(config: pytest.Config) -> float:
    if not config.pluginmanager.hasplugin("faulthandler"):
        return 0.0
    try:
        return float(config.getini("faulthandler_timeout") or 0.0)
    except (KeyError, TypeError, ValueError):
        return 0.0


def _ends_process(config: pytest.Config) -> bool:
    try:
        return bool(config.getini("faulthandler_exit_on_timeout"))
    except (KeyError, ValueError):  # older versions cannot
        return False
