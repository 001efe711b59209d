"""Finds the blocks of a leak that the test runner itself has made.

A traceback keeps the frames of pytest that called the test, with all that they refer to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.leak_lines import (
    is_our_file,
    is_ours,
    is_pytest,
    line_of_shared,
)
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.naming import GENERATORS
from pytest_memguard.attribution.session_owners import MACHINERY
from pytest_memguard.attribution.surviving_memory import SurvivingMemory

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece


def made_by_runner(
    held: Collection[int], marker: BlockMarker, pieces: Sequence[Piece]
) -> set[int]:
    """Return the blocks from lines of the test runner that only its own objects refer to.

    What an object of the tests refers to may be in memory that the runner had before.

    Args:
        held: indices of the blocks of a leak.
        marker: finds what refers to what.
        pieces: all blocks.
    """
    made = {index for index in held if _is_from_runner(pieces[index])}
    waiting: list[int] = []
    sure: set[int] = set()
    for index in held:
        file = code_file(marker, index)
        if file is not None and _is_of_runner(file):
            sure.add(index)
        elif file is not None or index not in made:
            waiting.append(index)
        elif _is_its_object(marker, index):
            sure.add(index)
    made |= sure
    made -= set(waiting)
    while waiting:
        found = (set(marker.below(waiting.pop())) & made) - sure
        made -= found
        waiting += found
    return made


def _is_from_runner(piece: Piece) -> bool:
    """Return whether a line of the test runner, or of this package, allocated a block."""
    stack = piece.stack
    return bool(stack) and (is_ours(stack) or is_pytest(line_of_shared(stack)[0]))


def _is_of_runner(file: str) -> bool:
    return is_pytest(file) or is_our_file(file)


def _is_its_object(marker: BlockMarker, index: int) -> bool:
    return any(
        raw.class_name(type(held))[0].partition(".")[0] in MACHINERY
        for held in marker.objects([index])
    )


def code_file(marker: SurvivingMemory, index: int) -> str | None:
    """Return the file with the code of a frame or generator; ``None`` for any other block.

    The interpreter keeps no such object for reuse.

    Args:
        marker: knows which blocks are objects.
        index: the block.
    """
    for held in marker.objects([index]):
        if raw.is_exactly(held, FrameType):
            return str(held.f_code.co_filename)
        if raw.is_exactly(held, *GENERATORS):
            code = getattr(held, GENERATORS[type(held)].replace("frame", "code"))
            return str(code.co_filename)
    return None
