"""Asks ``singledispatch`` and an abstract class about a class that is new each time."""

from abc import ABC
from functools import singledispatch


class Shape(ABC):
    """Keeps the answers to ``isinstance``, weakly."""


@singledispatch
def area(_: object) -> int:
    """Keeps what to call for a class, weakly."""
    return 1


def test_new_class() -> None:
    """A class without a registration gets the general answer."""
    made = type("Square", (), {})
    assert area(made()) == 1
    assert not isinstance(made(), Shape)
