"""Finds the name of the function that a line belongs to."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Final

_KEPT: Final = 16
"""Number of files whose functions are remembered: most leaks of a run are in a few files."""
FileAndLine = tuple[str, int]
"""File and number of a line."""


class Functions:
    """Names of functions by file and line.

    Args:
        known: names that are known; the others are looked up in the source.
    """

    def __init__(self, known: Mapping[FileAndLine, str] | None = None) -> None:
        self._known = known or {}

    def named(self, stack: Iterable[tuple[str, str, int]]) -> tuple[tuple[str, str, int], ...]:
        """Return a stack with the names of its functions."""
        return tuple((self.name(file, line), file, line) for _, file, line in stack)

    def name(self, file: str, line: int) -> str:
        """Return the innermost function with this line; empty if there is no source."""
        known = self._known.get((file, line))
        return _names(file).get(line, "") if known is None else known


@lru_cache(maxsize=_KEPT)
def _names(file: str) -> dict[int, str]:
    """Return the innermost function of each line of a file."""
    # inner code objects come later and override the lines of outer ones
    return {
        number: code.co_name
        for code in _codes(file)
        for _, _, number in code.co_lines()
        if number is not None
    }


def _codes(file: str) -> list[CodeType]:
    """Return the code objects of a file, outer ones before inner ones."""
    try:
        with tokenize.open(file) as source:
            found = [compile(source.read(), file, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    for code in found:
        found += [inner for inner in code.co_consts if type(inner) is CodeType]
    return found
