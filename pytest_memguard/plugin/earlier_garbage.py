"""Collects what earlier tests left behind, so that none of it is blamed on the next test."""

from __future__ import annotations

import contextlib
import gc
import sys
import warnings
from typing import Any

from pytest_memguard.plugin.last_failure import forget_last_failure
from pytest_memguard.recording.settled_signals import forget_caches


class EarlierGarbage:
    """Garbage of tests that were not checked for leaks: they failed, or have no check.

    A finaliser that raises or warns in a collection of ours would fail the test that happens
    to run, where warnings are errors. pytest itself collects at the end of the session, so
    what finalisers have to say is held back until then.
    """

    def __init__(self) -> None:
        self._is_left = True
        self._raised: list[Any] = []
        self._warned: list[warnings.WarningMessage] = []

    def note_test(self) -> None:
        """Note that a test has run whose garbage was not collected."""
        self._is_left = True

    def note_collected(self) -> None:
        """Note that nothing is left."""
        self._is_left = False

    def collect(self) -> None:
        """Collect what is left, if anything is, and empty caches of the standard library.

        These are emptied after the test as well: what it keeps would seem to be less by what
        the caches had before it.
        """
        if not self._is_left:
            return
        self._is_left = False
        forget_last_failure()
        forget_caches()
        before = sys.unraisablehook
        sys.unraisablehook = self._hold
        try:
            with warnings.catch_warnings(record=True) as warned:
                gc.collect()
        finally:
            sys.unraisablehook = before
        self._warned += warned

    def report(self) -> None:
        """Pass on what finalisers have raised and warned of."""
        raised, self._raised = self._raised, []
        for held in raised:
            sys.unraisablehook(held)
        warned, self._warned = self._warned, []
        for held in warned:
            with contextlib.suppress(held.category):  # which may be an error by now
                warnings.warn_explicit(held.message, held.category, held.filename, held.lineno)

    def _hold(self, unraisable: Any) -> None:
        """Keep what was raised, but not the object, which would live on."""
        name = _Named(repr(unraisable.object))
        parts = (unraisable.exc_type, unraisable.exc_value, None, unraisable.err_msg, name)
        self._raised.append(
            type(unraisable)(parts)
        )  # the interpreter's own hook takes no other


class _Named:
    """Stands for an object that is gone.

    Args:
        text: its representation.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
