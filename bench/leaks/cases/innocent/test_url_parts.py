"""Splits a new address on every call: ``urllib.parse`` keeps some of them."""

from itertools import count
from urllib.parse import urlsplit

_NUMBERS = count(1_000)


def test_split() -> None:
    """The host is between the slashes."""
    assert urlsplit(f"https://host{next(_NUMBERS)}/path").path == "/path"
