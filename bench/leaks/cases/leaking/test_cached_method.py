"""Caches a method, and with it every instance it was called on."""

from functools import cache


class Document:
    """A text that counts its words."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cache
    def words(self) -> int:
        """Count them once; the cache keeps ``self``."""
        return len(self.text.split())


def count_words(text: str) -> int:
    """Count the words of a text."""
    document = Document(text)  # LEAK
    return document.words()  # LEAK


def test_count_words() -> None:
    """Two words are two."""
    assert count_words("two words") == 2
