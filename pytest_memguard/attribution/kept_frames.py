"""Recognises frames that are kept, though the tracker had objects made of them.

While allocations are tracked, the interpreter makes an object of the frame of every function
that starts. It goes when the function ends, unless something keeps it. So a frame that is left
was kept, and would have been without the tracker.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, cast

from pytest_memguard.attribution import raw

if TYPE_CHECKING:
    from pytest_memguard.attribution.marking import BlockMarker
    from pytest_memguard.attribution.pieces import Piece

_CAN_WAIT: Final = (
    inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)
"""Functions whose frames live as long as a generator, which has no such object by itself."""


def with_kept_frames(
    pieces: Sequence[Piece], marker: BlockMarker, running: set[int]
) -> list[Piece]:
    """Return the blocks; those of frames that are kept are no longer the tracker's.

    They get the line on which their function ended: the one that was running when the block was
    allocated called it.

    Args:
        pieces: all blocks.
        marker: knows which blocks are objects.
        running: the ids of the frames that ran when the objects were collected: since then, our
            own references may have kept them.
    """
    found = list(pieces)
    frames = {
        index: held
        for index, held in marker.tracked.items()
        if pieces[index].of_instruments and raw.is_exactly(held, FrameType)
    }
    for index, frame in frames.items():
        if id(frame) not in running and not frame.f_code.co_flags & _CAN_WAIT:
            found[index] = _as_made_by_itself(pieces[index], frame)
    return found


def _as_made_by_itself(piece: Any, frame: FrameType) -> Piece:
    code = frame.f_code
    own = (code.co_name, code.co_filename, frame.f_lineno or code.co_firstlineno)
    made = replace(piece, stack=(own, *piece.stack), native=(), of_instruments=False)
    return cast("Piece", made)


def running_frames() -> set[int]:
    """Return the ids of the frames of all threads."""
    found: set[int] = set()
    waiting = list(sys._current_frames().values())  # noqa: SLF001  # no other way
    while waiting:
        frame = waiting.pop()
        found.add(id(frame))
        if frame.f_back is not None:
            waiting.append(frame.f_back)
    return found
