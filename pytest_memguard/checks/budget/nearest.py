"""Finds what the user may have meant by a pattern that matches no test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

_LIKENESS: Final = 0.7


def nearest_patterns(globs: Iterable[str], tests: Iterable[str]) -> Iterator[str]:
    """Yield the end of a sentence for each pattern that matches no test; it may be empty.

    It has the nearest pattern that would match one.

    Args:
        globs: the patterns.
        tests: the node ids of all tests.
    """
    known = dict.fromkeys(name for nodeid in tests for name in _names(nodeid))
    return (_nearest(glob, known) for glob in globs)


def _nearest(glob: str, known: Iterable[str]) -> str:
    text = glob.removeprefix("./").rstrip("/")
    below = [name for name in known if name.endswith((f"/{text}", f"::{text}"))]
    found = sorted(below, key=len) or get_close_matches(text, known, n=1, cutoff=_LIKENESS)
    return f"; the nearest that would is {found[0]!r}" if found else ""


def _names(nodeid: str) -> Iterator[str]:
    """Yield what covers a test: its folders, its file, its classes and itself."""
    path, _, inner = nodeid.partition("::")
    folder = ""
    for part in path.split("/")[:-1]:
        folder = f"{folder}/{part}" if folder else part
        yield folder
    yield path
    name = path
    for part in inner.partition("[")[0].split("::"):
        if part:
            name = f"{name}::{part}"
            yield name
