"""Warns with a new text on every call; the registry is emptied whenever filters change."""

import warnings
from itertools import count

import pytest

_NUMBERS = count(1_000)
_REGISTRY: dict[str, int] = {}


def warn(number: int) -> None:
    """Warn once of each number."""
    text = f"{number} is too much"
    warnings.warn_explicit(text, UserWarning, "shop.py", number, registry=_REGISTRY)


def test_warn() -> None:
    """There is a warning."""
    with pytest.warns(UserWarning, match="too much"):
        warn(next(_NUMBERS))
    assert len(_REGISTRY) <= 2
