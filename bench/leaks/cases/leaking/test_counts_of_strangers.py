"""Reads a word's count from a defaultdict, which adds the word."""

from collections import defaultdict
from itertools import count

_COUNTS: dict[str, list[int]] = defaultdict(list)
_NUMBERS = count(1)


def times(word: str) -> int:
    """How often a word was seen."""
    return len(_COUNTS[word])  # LEAK


def test_times() -> None:
    """A new word was never seen."""
    assert times(f"word {next(_NUMBERS)}") == 0  # LEAK
