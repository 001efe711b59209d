"""Keeps a list of all warnings of the session."""

import warnings

import pytest

_LISTED: list[warnings.WarningMessage] = []


def warn() -> None:
    """Warn of something."""
    warnings.warn("it is too much", UserWarning, stacklevel=1)  # LEAK


def test_warn(recwarn: pytest.WarningsRecorder) -> None:
    """There is a warning."""
    warn()
    _LISTED.extend(recwarn.list)  # LEAK
    assert len(recwarn) == 1
