"""Tests of which objects are in memory that an extension kept for reuse."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_memguard.attribution.kept_by_extensions import kept_by_extensions


class InPython:
    """An object that no extension keeps."""


@dataclass(frozen=True)
class Block:
    """A block from a line of app.py."""

    line: int

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """The line alone."""
        return (("make", "app.py", self.line),)


@dataclass(frozen=True)
class Memory:
    """Surviving blocks, each with an object."""

    held: list[Any]

    def objects(self, indices: list[int]) -> list[Any]:
        """Return the objects in some blocks."""
        return [self.held[index] for index in indices]

    def may_be_reused(self, index: int) -> bool:
        """Return whether the interpreter keeps objects of this type."""
        return type(self.held[index]) is list


@pytest.mark.parametrize(
    ("kind", "lines", "moved"),
    [
        pytest.param(lambda: array("b"), [7] * 9, {}, id="one-line"),
        pytest.param(lambda: array("b"), [3, *[7] * 9], {0: 1}, id="one-from-a-free-list"),
        pytest.param(lambda: array("b"), [3] * 3 + [7] * 9, {}, id="two-lines"),
        pytest.param(list, [3, *[7] * 9], {}, id="kept-by-the-interpreter"),
        pytest.param(InPython, [3, *[7] * 9], {}, id="class-in-python"),
    ],
)
def test_few_from_another_line(kind, lines, moved):
    """An object from another line than most of its type gets the line of one of these."""
    memory: Any = Memory([kind() for _ in lines])
    pieces: Any = [Block(line) for line in lines]
    assert moved == kept_by_extensions(range(len(lines)), memory, pieces)
