"""Wraps a function of the module in one more wrapper on every call."""

from collections.abc import Callable


class Hooks:
    """What can be replaced."""

    @staticmethod
    def show(text: str) -> str:
        """Show a text."""
        return text


def watched(function: Callable[[str], str]) -> Callable[[str], str]:
    """The function, or so it says."""

    def wrapper(text: str) -> str:  # LEAK
        return text or function(text)

    return wrapper


def patch() -> str:
    """Replace a function by its wrapper."""
    Hooks.show = staticmethod(watched(Hooks.show))  # type: ignore[assignment]  # LEAK
    return Hooks.show("here")


def test_patch() -> None:
    """The wrapper does the same."""
    assert patch() == "here"
