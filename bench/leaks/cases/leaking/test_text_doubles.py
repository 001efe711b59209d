"""A text is put behind itself on every call."""


class Page:
    """Has a text."""

    text = "x" * 64


def double() -> int:
    """Write the text once more."""
    Page.text += Page.text  # LEAK
    return len(Page.text)


def test_double() -> None:
    """There are two of it."""
    assert double() % 2 == 0
