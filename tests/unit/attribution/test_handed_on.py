"""Tests of which C memory was in use before the object that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pytest_memguard.attribution.handed_on import owners_of_handed_on


@dataclass(frozen=True)
class Block:
    """A block from a line of app.py: an object, or C memory."""

    order: int
    line: int
    below: tuple[int, ...] = ()
    is_object: bool = False
    native: tuple[str, ...] = ("malloc", "take")

    @property
    def in_c_heap(self) -> bool:
        """Whether the C library has allocated it."""
        return not self.is_object

    @property
    def stack(self) -> tuple[tuple[str, str, int], ...]:
        """The line alone."""
        return (("make", "app.py", self.line),)


@dataclass(frozen=True)
class Marker:
    """Knows what the blocks refer to."""

    pieces: list[Block]

    def is_object(self, index: int) -> bool:
        """Return whether a block is an object."""
        return self.pieces[index].is_object

    def below(self, index: int) -> set[int]:
        """Return what a block refers to."""
        return set(self.pieces[index].below)


def made(order: int, line: int, *below: int) -> Block:
    """Return an object that refers to some blocks."""
    return Block(order, line, below, is_object=True)


@pytest.mark.parametrize(
    ("blocks", "owners"),
    [
        pytest.param([made(9, 7, 1), Block(3, 5)], {1: 0}, id="older"),
        pytest.param([made(3, 7, 1), Block(9, 5)], {}, id="filled-by-another-line"),
        pytest.param([made(9, 7, 1), Block(3, 7)], {}, id="of-the-same-line"),
        pytest.param([made(9, 7, 1), Block(0, 5)], {}, id="of-unknown-age"),
        pytest.param([made(9, 7, 1), made(3, 5)], {}, id="an-older-object"),
        pytest.param([made(9, 7, 1), Block(3, 5, (2,)), Block(2, 5)], {1: 0}, id="direct"),
        pytest.param([made(9, 7, 2), made(2, 5, 2), Block(3, 5)], {}, id="of-an-older-object"),
        pytest.param([made(9, 7, 2), made(8, 6, 2), Block(3, 5)], {2: 1}, id="of-the-oldest"),
        pytest.param(
            [made(9, 7, 1), Block(3, 5, native=("malloc", "ffi_call"))], {}, id="of-ctypes"
        ),
    ],
)
def test_memory_that_is_older_than_its_object(blocks, owners):
    """C memory belongs to the line of its object if it is older than all that refer to it."""
    marker: Any = Marker(blocks)
    assert owners == owners_of_handed_on(range(len(blocks)), marker, blocks)
