"""Lets go of what the test that failed last still holds."""

from __future__ import annotations

import contextlib
import sys


def forget_last_failure() -> None:
    """Let go of what the test that failed last still holds.

    pytest does so a moment later, before it calls the test; what is freed then would hide as
    much of this test's peak.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        with contextlib.suppress(AttributeError):
            delattr(sys, name)
