"""Asks of a class made for the call whether it is one of an abstract kind."""

from collections.abc import Iterable, Sized


def test_kind() -> None:
    """It has a length and nothing to walk through."""
    kind = type("Kind", (), {"__len__": lambda _: 3})
    assert issubclass(kind, Sized)
    assert not issubclass(kind, Iterable)
    assert isinstance(kind(), Sized)
