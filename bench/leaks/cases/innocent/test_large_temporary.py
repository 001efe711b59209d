"""Every call needs 40 MB for a moment."""


def test_reversed() -> None:
    """The last is like the first."""
    text = b"x" * 20_000_000
    assert text[::-1][0] == text[0]
