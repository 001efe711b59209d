"""Lets go of what the test that failed last still holds."""

from __future__ import annotations

import sys

_NAMES = ("last_type", "last_value", "last_traceback", "last_exc")
_HELD = vars(sys)


def forget_last_failure() -> bool:
    """Let go of what the test that failed last still holds: the frames of its traceback.

    pytest does so a moment later, before it calls the test. What is freed then would hide as
    much of this test's peak, and what is garbage then would not be collected before it.

    Returns:
        Whether there was anything to let go of.
    """
    if "last_value" not in _HELD and "last_traceback" not in _HELD:
        return False
    for name in _NAMES:
        _HELD.pop(name, None)
    return True
