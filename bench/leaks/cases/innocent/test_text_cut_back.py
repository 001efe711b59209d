"""Adds a line to a text, and keeps the last 3,000 characters of it."""

_TEXT = ""


def note(line: str) -> int:
    """Add a line."""
    global _TEXT
    _TEXT = (_TEXT + line + "\n")[-3_000:]
    return len(_TEXT)


def test_note() -> None:
    """The text is not too long."""
    assert note("something happened " * 10) <= 3_000
