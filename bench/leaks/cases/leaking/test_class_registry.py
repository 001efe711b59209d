"""Registers every class that is made, for ever."""


class Plugin:
    """Remembers its subclasses."""

    known: list[type] = []

    def __init_subclass__(cls) -> None:
        """Add the new class to the list."""
        Plugin.known.append(cls)


def make_plugin(name: str) -> type:
    """Make one more class."""
    return type(name, (Plugin,), {"name": name})  # LEAK


def test_make_plugin() -> None:
    """The class has the name it was given."""
    assert make_plugin("Zip").__name__ == "Zip"
