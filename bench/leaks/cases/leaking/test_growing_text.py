"""Adds a line to a text of the module on every call."""

_TEXT = ""


def note(line: str) -> int:
    """Add a line."""
    global _TEXT
    _TEXT += line + "\n"  # LEAK
    return len(_TEXT)


def test_note() -> None:
    """There is a text."""
    assert note("something happened " * 20) > 0
