"""Finds the few objects of an extension type whose memory the extension kept for reuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.leak_lines import Line, line_of_shared
from pytest_memguard.attribution.pieces import Piece
from pytest_memguard.attribution.runners_blocks import code_file
from pytest_memguard.attribution.surviving_memory import SurvivingMemory

_FEW: Final = 0.25
"""The objects from a line are few if there are fewer than this share of those from the main
line of their type."""


def kept_by_extensions(
    held: Collection[int], memory: SurvivingMemory, pieces: Sequence[Piece]
) -> dict[int, int]:
    """Return the objects in memory from another line, each with one from its own line.

    An extension may keep a few objects of a type for reuse. The others have memory of their
    own, from the line that made them.

    Args:
        held: indices of the blocks of a leak.
        memory: knows which blocks are objects.
        pieces: all blocks.
    """
    by_type: dict[int, list[int]] = {}
    for index in sorted(held):
        for one in memory.objects([index]):
            kind = type(one)
            plain = raw.is_made_in_python(kind) or memory.may_be_reused(index)
            if not plain and code_file(memory, index) is None:
                by_type.setdefault(id(kind), []).append(index)
    found: dict[int, int] = {}
    for several in by_type.values():
        lines = {index: line_of_shared(pieces[index].stack) for index in several}
        found |= _few(lines)
    return found


def _few(lines: dict[int, Line]) -> dict[int, int]:
    counts = Counter(lines.values())
    main, most = counts.most_common(1)[0]
    model = next(index for index, line in lines.items() if line == main)
    return {index: model for index, line in lines.items() if counts[line] < _FEW * most}
