"""Finds out the name of the function that a line belongs to."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Final

_KEPT: Final = 16
"""Files of which the functions are remembered: most leaks of a run are in the same few."""
FileAndLine = tuple[str, int]
"""File and line."""


class Functions:
    """The names of functions, by file and line.

    Args:
        known: some of them; the others are looked up in the source.
    """

    def __init__(self, known: Mapping[FileAndLine, str] | None = None) -> None:
        self._known = known or {}

    def named(self, stack: Iterable[tuple[str, str, int]]) -> tuple[tuple[str, str, int], ...]:
        """A stack whose functions are not known, with their names."""
        return tuple((self.name(file, line), file, line) for _, file, line in stack)

    def name(self, file: str, line: int) -> str:
        """The innermost function with this line; empty if there is no source to tell."""
        known = self._known.get((file, line))
        return _names(file).get(line, "") if known is None else known


@lru_cache(maxsize=_KEPT)
def _names(file: str) -> dict[int, str]:
    """The innermost function of each line of a file."""
    # what follows is inside of what comes first
    return {
        number: code.co_name
        for code in _codes(file)
        for _, _, number in code.co_lines()
        if number is not None
    }


def _codes(file: str) -> list[CodeType]:
    """The code of a file and all that is in it, from the outside in."""
    try:
        with tokenize.open(file) as source:
            found = [compile(source.read(), file, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    for code in found:
        found += [inner for inner in code.co_consts if type(inner) is CodeType]
    return found
