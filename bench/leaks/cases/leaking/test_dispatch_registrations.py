"""Registers an implementation for every class it makes."""

from functools import singledispatch


@singledispatch
def show(value: object) -> str:
    """Show something."""
    return str(value)


def make_kind(name: str) -> type:
    """Make a class and register how to show it."""
    kind = type(name, (), {})  # LEAK
    show.register(kind, lambda _: name)  # LEAK
    return kind


def test_make_kind() -> None:
    """An instance is shown by its name."""
    assert show(make_kind("Point")()) == "Point"
