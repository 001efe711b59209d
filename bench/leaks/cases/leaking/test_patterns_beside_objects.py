"""Compiles a new pattern on every call, and keeps what has matched."""

import re
from itertools import count

_NUMBERS = count(1_000)


class Match:
    """What was found."""

    def __init__(self, text: str) -> None:
        self.text = text


_MATCHES: list[Match] = []


def find(pattern: str, text: str) -> int:
    """Find it, and remember that."""
    found = re.search(pattern, text)
    assert found
    _MATCHES.append(Match(found[0]))  # LEAK
    return found.start()


def test_find() -> None:
    """A number stands after a letter."""
    number = next(_NUMBERS)
    assert find(f"{number}$", f"n{number}") == 1
