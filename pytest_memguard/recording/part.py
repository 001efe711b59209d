"""One of several leaks of a callable, with the lines of what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.leak_lines import (
    Blocks,
    leak_lines,
    unnamed_blocks,
)
from pytest_memguard.attribution.origins import (
    Origin,
)
from pytest_memguard.attribution.shared_pools import shared_pool
from pytest_memguard.attribution.values import is_value
from pytest_memguard.model.leaks import (
    Diagnosis,
    LeakLine,
    Verdict,
)
from pytest_memguard.recording.diagnosis import GrowingContainer, growing_threads, named
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece
    from pytest_memguard.recording.causes import Cause

_TOO_MUCH: Final = 1.3
"""How many times as many blocks as stay a few calls may have left, if they have lines."""
_CONTENTS: Final = 0.25
"""Least share of all bytes that the contents of a container must be for their lines to
suffice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of several leaks."""

    verdict: Verdict
    """The verdict, with the rates of this leak alone."""
    diagnosis: Diagnosis
    """Its cause."""
    growing_container: GrowingContainer | None
    """The container that grows with it, if there is one."""
    is_followed: bool = True
    """Whether its lines are those of the objects that have the memory now."""


def part_from(cause: Cause, verdict: Verdict, made: Sequence[Origin]) -> Part:
    """Return the leak of a cause.

    Args:
        cause: a holder, or lines, and what it keeps.
        verdict: the verdict, with the rates of this leak alone.
        made: where its contents were made, if that is known.
    """
    per_call = cause.per_call["blocks"]
    known = [piece for piece in cause.pieces if piece.stack and not piece.of_instruments]
    # where the contents themselves were made, unless they are a small part of what they hold
    enough = sum(one.size for one in made) >= _CONTENTS * sum(one.size for one in known)
    is_followed = bool(made) and enough
    if is_followed:
        grown = next((r.per_call for r in verdict.rates if r.signal == "blocks"), 0.0)
        stays = per_call <= _TOO_MUCH * grown  # or much of what was found does not
        whole = is_value(cause.holding.growing_container)  # then no block is missing
        values = [
            one for one in cause.holding.attribute_values if one.stack and stays and not whole
        ]
        tables = [piece for piece in known if piece.tables]
        lines = leak_lines([*made, *values, *tables], cause.calls, per_call)
        if stays and not whole:
            lines = _with_what_objects_hide(lines, [*made, *values], known)
    else:
        lines = leak_lines(known, cause.calls, per_call)
    # frames of this package that another frame keeps have no line
    ours = [one for one in cause.pieces if not (one.stack or one.of_instruments) and one.small]
    unnamed, unnamed_small = unnamed_blocks([*known, *ours], lines, cause.calls, per_call)
    diagnosis = Diagnosis(
        calls=cause.calls,
        lines=lines,
        types=cause.holding.types,
        path=cause.path,
        notes=_notes(cause),
        pool=shared_pool(cause.pieces) if cause.path is None else "",
        unnamed=unnamed,
        unnamed_small=unnamed_small,
    )
    holding = cause.holding
    growing_container = growing_threads(cause.path, verdict)
    if growing_container is None and holding.gained:
        growing_container = GrowingContainer(
            holding.growing_container, holding.gained / cause.calls
        )
    return Part(
        verdict=verdict,
        diagnosis=named(diagnosis),
        growing_container=growing_container,
        is_followed=is_followed,
    )


def _notes(cause: Cause) -> tuple[str, ...]:
    path = cause.path
    if path is None:
        return ()
    others = cause.other_holders(path, cause.holding.growing_container)
    return tuple(filter(None, (others, cause.kept_by_c(path))))


def _with_what_objects_hide(
    lines: tuple[LeakLine, ...], made: Sequence[Blocks], known: Sequence[Piece]
) -> tuple[LeakLine, ...]:
    """Return lines that made objects, with a share of the blocks that have no line.

    The collector does not follow all objects, and C code has memory of its own.

    Args:
        lines: the lines of the objects, and of the attributes of instances.
        made: those blocks.
        known: all blocks.
    """
    mine, every = ([one.small for one in several if one.small] for several in (made, known))
    more, larger = len(every) / max(1, len(mine)), sum(every) / max(1, sum(mine))
    more, larger = max(1.0, more), max(1.0, larger)
    return tuple(
        replace(
            line,
            count=line.count - line.of_python + round(more * line.of_python),
            of_python=round(more * line.of_python),
            size=line.size - line.small + round(larger * line.small),
            small=round(larger * line.small),
        )
        for line in lines
    )
