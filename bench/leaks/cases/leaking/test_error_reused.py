"""Raises one and the same error again and again: its traceback becomes longer each time."""

import pytest

_REFUSED = PermissionError("refused")


def enter(user: str) -> str:
    """Let nobody in."""
    if user:
        raise _REFUSED  # LEAK
    return user


def test_enter() -> None:
    """Ada is not let in."""
    with pytest.raises(PermissionError):
        enter("ada")  # LEAK
