"""Keeps every file open."""

from typing import TextIO

_FILES: list[TextIO] = []


def first_word(path: str) -> str:
    """Read from a file that is never closed."""
    file = open(path)  # LEAK
    _FILES.append(file)
    return file.read(9)


def test_first_word() -> None:
    """This file starts with a docstring."""
    assert first_word(__file__) == '"""Keeps '
