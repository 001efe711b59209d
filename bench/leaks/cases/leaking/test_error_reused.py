"""Raises one and the same error again and again: its traceback becomes longer each time."""

import pytest

_REFUSED = PermissionError("refused")


def enter(user: str) -> str:
    """Refuse every visitor."""
    if user:
        raise _REFUSED  # LEAK
    return user


def test_enter() -> None:
    """Ada is refused."""
    with pytest.raises(PermissionError):
        enter("ada")  # LEAK
