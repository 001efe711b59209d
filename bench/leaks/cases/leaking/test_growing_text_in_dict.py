"""Adds to the text under one of the keys of a dict."""

_PAGES = {"title": "leaks", "body": ""}


def write(text: str) -> int:
    """Add a sentence."""
    _PAGES["body"] += text  # LEAK
    return len(_PAGES["body"])


def test_write() -> None:
    """There is a text."""
    assert write("One sentence is much like another. " * 8) > 0
