"""Finds out the name of the function that a line belongs to."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable, Mapping
from types import CodeType

Place = tuple[str, int]
"""File and line."""


class Functions:
    """The names of functions, by file and line.

    Args:
        known: some of them; the others are looked up in the source.
    """

    def __init__(self, known: Mapping[Place, str] | None = None) -> None:
        self._known = dict(known or {})
        self._read: set[str] = set()

    def named(self, stack: Iterable[tuple[str, str, int]]) -> tuple[tuple[str, str, int], ...]:
        """A stack whose functions are not known, with their names."""
        return tuple((self.name(file, line), file, line) for _, file, line in stack)

    def name(self, file: str, line: int) -> str:
        """The innermost function with this line; empty if there is no source to tell."""
        if (file, line) not in self._known and file not in self._read:
            self._read.add(file)
            # what follows is inside of what comes first
            names = {
                (file, number): code.co_name
                for code in _codes(file)
                for _, _, number in code.co_lines()
                if number is not None
            }
            self._known = names | self._known
        return self._known.get((file, line), "")


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
