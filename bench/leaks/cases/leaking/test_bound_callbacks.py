"""Subscribes bound methods that are never taken off the list."""

from collections.abc import Callable


class Bus:
    """Calls all subscribers when something changes."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[], str]] = []


class View:
    """Shows something."""

    def __init__(self, bus: Bus) -> None:
        self.shown = ""
        bus.listeners.append(self.refresh)  # LEAK

    def refresh(self) -> str:
        """Show the newest state."""
        self.shown = "new"
        return self.shown


_BUS = Bus()


def open_view() -> View:
    """Open a view; it is never closed."""
    return View(_BUS)  # LEAK


def test_open_view() -> None:
    """A view shows what is new."""
    assert open_view().refresh() == "new"
