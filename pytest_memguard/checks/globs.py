"""Patterns on node ids and paths, as the lines of mem_budgets write them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

_WILDCARD: Final = re.compile(r"[*?]")
_END_OF_NAME: Final = re.compile(r"$|/|::|\[")
"""Where a name ends that covers what is below it: a folder, file, class or test."""


class Patterns:
    """Finds which of many patterns cover a node id.

    Those without a wildcard, one for each test that needs more than most, are looked up by
    the names that cover the node id; only the others are tried one after the other.

    Args:
        globs: the patterns, as `matcher` takes them.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._wild: list[tuple[int, Callable[[str], bool]]] = []
        for place, glob in enumerate(globs):
            if _WILDCARD.search(glob):
                self._wild.append((place, matcher(glob)))
            else:
                self._by_name[_text(glob)].append(place)

    def covering(self, nodeid: str) -> list[int]:
        """Return the places of the patterns that cover a node id, in their order.

        Args:
            nodeid: of a test.
        """
        found = [place for place, matches in self._wild if matches(nodeid)]
        names = {nodeid[: end.start()] for end in _END_OF_NAME.finditer(nodeid)}
        for name in self._by_name.keys() & names:
            found += self._by_name[name]
        return sorted(found)


def matcher(glob: str) -> Callable[[str], bool]:
    """A function that returns whether a pattern covers a node id.

    It covers what it matches whole and everything below: a pattern for a folder covers its
    files, one for a file or class its tests, one for a test its parameters. ``*`` and
    ``?`` stay within one folder, ``**`` crosses folders; brackets mean themselves, because
    node ids are full of them.

    Args:
        glob: the pattern; a leading ``./`` and a trailing ``/`` do not count.
    """
    text = _text(glob)
    pattern = ""
    at = 0
    while at < len(text):
        if text.startswith("**/", at):
            pattern += "(?:.*/)?"
            at += 3
        elif text.startswith("**", at):
            pattern += ".*"
            at += 2
        else:
            pattern += {"*": "[^/]*", "?": "[^/]"}.get(text[at], re.escape(text[at]))
            at += 1
    match = re.compile(rf"{pattern}(?:$|/|::|\[)", re.DOTALL).match
    return lambda nodeid: match(nodeid) is not None


def _text(glob: str) -> str:
    return glob.removeprefix("./").rstrip("/")
