"""Warns with another text on every call."""

import warnings
from itertools import count

import pytest

_NUMBERS = count(1)


def old_way() -> int:
    """Do it, but warn."""
    number = next(_NUMBERS)
    warnings.warn(f"call {number} is the old way", DeprecationWarning, stacklevel=2)
    return number


def test_old_way() -> None:
    """There is a warning."""
    with pytest.warns(DeprecationWarning, match="old way"):
        assert old_way() > 0
