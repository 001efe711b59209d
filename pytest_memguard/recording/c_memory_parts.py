"""Divides C memory that nothing holds by the functions that have called C code for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.leak_lines import innermost, line_of_shared
from pytest_memguard.attribution.shared_pools import shared_pools
from pytest_memguard.recording.causes import memory_of
from pytest_memguard.recording.populations import combined

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece
    from pytest_memguard.recording.causes import Cause

RARELY: Final = 0.5
"""C memory that has at most so many blocks per call is not left by what each call leaves."""
_MAIN: Final = 0.3
"""Least share of the blocks of a cause that a function has that they belong to."""
_EVEN: Final = 0.2
"""How far from a whole number the blocks per call may be of what each call leaves."""
_MISSING: Final = 0.04
"""Share of many blocks per call that may be missing in memory that was in use before."""
Function = tuple[str, str]
"""File and name of a function."""


def with_c_memory_divided(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes, with one for each function whose calls leave C memory.

    Pointers in C memory may lead to blocks of other leaks, as those of one context do, so the
    causes of such memory are not told apart by what they lead to. All of it is one leak if
    functions do not leave as many blocks in each call: what a library takes for one call may
    come from several functions then, and from memory of its own that others have allocated.
    So are lines that share a pool: which of them keeps the memory is not known.

    Args:
        causes: everything that keeps something.
    """
    often = [cause for cause in causes if _is_of_c(cause)]
    if len(often) < 2:
        return list(causes)
    shared = shared_pools(piece for cause in often for piece in cause.pieces)
    users = ({_function_of(piece) for piece in pieces} for pieces in shared.values())
    groups = _together([*map(_main_functions, often), *users])
    divided = [_of_functions(group, often) for group in groups]
    if len(groups) < 2 or not all(map(_is_even, divided)):
        divided = [combined(often[0], often[1:])]
    ids = set(map(id, often))
    return [*(cause for cause in causes if id(cause) not in ids), *divided]


def _is_of_c(cause: Cause) -> bool:
    """Return whether it is C memory that nothing holds, left by most calls."""
    is_native = cause.path is None and not cause.per_call["blocks"]
    return is_native and len(cause.pieces) > RARELY * cause.calls


def _function_of(piece: Piece) -> Function:
    file, _, function = line_of_shared(piece.stack)
    return (file, function)


def _main_functions(cause: Cause) -> set[Function]:
    """Return the functions that have left most blocks."""
    counts = Counter(map(_function_of, cause.pieces))
    return {one for one, count in counts.items() if count >= _MAIN * counts.total()}


def _together(several: Iterable[set[Function]]) -> list[set[Function]]:
    """Return the functions, those in one set that have blocks of one cause in common."""
    found: list[set[Function]] = []
    for functions in several:
        same = [group for group in found if group & functions]
        found = [group for group in found if not group & functions]
        found.append(functions.union(*same))
    return found


def _of_functions(functions: set[Function], causes: Sequence[Cause]) -> Cause:
    """Return the blocks that some functions have left, and others beside them."""
    mine = [cause for cause in causes if _main_functions(cause) & functions]
    others = set().union(*map(_main_functions, causes)) - functions
    pieces = tuple(
        piece
        for cause in causes
        for piece in cause.pieces
        if _function_of(piece) in functions
        or (any(cause is one for one in mine) and _function_of(piece) not in others)
    )
    whole = combined(mine[0], mine[1:])
    holding = replace(whole.holding, pieces=pieces)
    per_call = {**memory_of(holding, whole.calls), "blocks": 0.0}
    return replace(whole, pieces=pieces, holding=holding, per_call=per_call)


def _is_even(cause: Cause) -> bool:
    """Return whether each call leaves as many blocks, beside those that few calls left."""
    kinds: Counter[object] = Counter()
    for piece in cause.pieces:
        kinds[innermost(piece.stack), piece.native[:1], piece.size.bit_length()] += piece.count
    often = sum(count for count in kinds.values() if count > RARELY * cause.calls)
    per_call = often / cause.calls
    return abs(per_call - round(per_call)) <= max(_EVEN, _MISSING * per_call)
