"""Keeps everything in a slot of the one instance of a class."""


class Change:
    """One edit."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class App:
    """There is one of it."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def edit(self, text: str) -> int:
        """Keep a change that cannot be undone."""
        self.changes.append(Change(text))  # LEAK
        return len(self.changes)


_APP = App()


def test_edit() -> None:
    """Changes are counted."""
    assert _APP.edit("bold") > 0
