"""Raises and handles errors whose tracebacks go with them."""

import pytest


def convert(text: str) -> int:
    """Turn a text into a number."""
    scratch = bytearray(2_000)
    return int(text) + len(scratch)


def test_convert() -> None:
    """A word is no number."""
    with pytest.raises(ValueError, match="seven"):
        convert("seven")
