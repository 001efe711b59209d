"""Joins causes that are one leak, and leaves out what is more than what grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.growth import STEADY
from pytest_memguard.attribution.leak_lines import (
    is_pytest,
    line_of_shared,
)
from pytest_memguard.model.leaks import (
    MEMORY_SIGNALS,
    Verdict,
)
from pytest_memguard.recording.c_memory_parts import RARELY
from pytest_memguard.recording.populations import combined

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause

_TOO_MUCH: Final = 1.3
"""How many times as much as is left to explain blocks without a holder may be."""
_UNSURE: Final = 0.25
"""Share of the growth that always remains to be explained: holders may be mistaken."""
_MAIN: Final = 0.3
"""Least share of the blocks of a lost object that are from the line that makes it."""


def as_counted(causes: Sequence[Cause], verdict: Verdict) -> list[Cause]:
    """Return the causes, without blocks of Python's if the interpreter counts none that stays.

    Those are of `PyMem_RawMalloc`, which memray does not distinguish: C code keeps them.

    Args:
        causes: everything that keeps something.
        verdict: leaking.
    """
    if verdict.rate_of("blocks") > 0:
        return list(causes)
    return [replace(one, per_call={**one.per_call, "blocks": 0.0}) for one in causes]


def with_lost_joined(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes; what nothing holds is joined to others from the same lines.

    Small blocks may be parts of an object that is lost. C memory beside a held or a lost object
    is what C code keeps of it.

    Args:
        causes: everything that keeps something.
    """
    found: list[Cause] = []
    for cause in causes:
        same = next((one for one in found if _are_one(one, cause)), None)
        if same is None:
            found.append(cause)
        else:
            found[found.index(same)] = _merged(same, cause)
    return found


def _are_one(one: Cause, other: Cause) -> bool:
    """Return whether two causes are one: lost objects, or an object and C memory beside it.

    C memory of two functions that most calls leave is two, if it was divided.
    """
    held = [cause for cause in (one, other) if cause.path is not None]
    if len(held) > 1:
        return False
    of_c = any(cause.per_call["C heap"] for cause in (one, other))
    only_c = [cause for cause in (one, other) if not cause.per_call["blocks"]]
    if not held and len(only_c) > 1:
        rare, often = sorted(len(cause.pieces) / cause.calls for cause in only_c)
        return rare <= RARELY and often < STEADY
    if not held and of_c and len(only_c) != 1:
        return False
    if held and _has_as_many(held[0], other if held[0] is one else one):
        return True
    return bool(_main_lines(one) & _main_lines(other))


def _has_as_many(held: Cause, lost: Cause) -> bool:
    """Return whether a held object has as many blocks from the main lines of lost ones.

    Then they are parts of it that the garbage collector does not see: what a class has in the
    tables of its bases, for example.
    """
    mine, others = _lines_of(held), _lines_of(lost)
    return any(0 < others[line] <= mine[line] for line in _main_lines(lost))


def _main_lines(cause: Cause) -> set[tuple[str, int, str]]:
    """Return the lines of most blocks; reused memory may have other lines."""
    lines = _lines_of(cause)
    least = _MAIN * sum(lines.values())
    return {line for line, count in lines.items() if count >= least}


def _lines_of(cause: Cause) -> Counter[tuple[str, int, str]]:
    """Return the number of blocks from each line."""
    return Counter(line_of_shared(piece.stack) for piece in cause.pieces if piece.stack)


def _merged(one: Cause, other: Cause) -> Cause:
    first, second = sorted(
        (one, other), key=lambda cause: (cause.path is None, -len(cause.pieces))
    )
    return combined(first, [second])


def within_growth(causes: Sequence[Cause], verdict: Verdict) -> list[Cause]:
    """Return the causes that are not more than what grows; holders that grow come first.

    Blocks without a holder may have replaced others, as in a list that is renewed. So may those
    of a holder that does not grow: each call may put a copy in its place. Blocks that pytest's
    own lines have left come last: they count only if the others do not explain half of what
    grows.

    Args:
        causes: everything that keeps something.
        verdict: leaking.
    """
    left = {r.signal: r.per_call for r in verdict.rates if r.signal in MEMORY_SIGNALS}
    rates = dict(left)
    found: list[Cause] = []
    for cause in sorted(causes, key=_certainty):
        shares = {signal: cause.per_call.get(signal, 0.0) for signal in left}
        fits = any(0 < share <= _TOO_MUCH * left[signal] for signal, share in shares.items())
        if _is_pytests(cause):
            fits = fits and any(
                share > 0 and left[signal] > rates[signal] / 2
                for signal, share in shares.items()
            )
        if cause.holding.gained or fits or not left:
            found.append(cause)
            left = {s: max(left[s] - share, _UNSURE * rates[s]) for s, share in shares.items()}
    return found


def _certainty(cause: Cause) -> tuple[bool, bool, bool]:
    """Return a key that sorts the causes that are surest to leak first."""
    return not cause.holding.gained, cause.path is None, _is_pytests(cause)


def _is_pytests(cause: Cause) -> bool:
    """Return whether nothing holds the blocks, and only lines of pytest have left them."""
    lines = _main_lines(cause)
    return cause.path is None and bool(lines) and all(is_pytest(line[0]) for line in lines)


def with_memory_of_threads(causes: Sequence[Cause], verdict: Verdict) -> list[Cause]:
    """Return the causes; what the C heap grew by beside their blocks is memory of threads.

    The C library and the dynamic linker allocate for each new thread what no tool sees.

    Args:
        causes: everything that keeps something.
        verdict: leaking.
    """
    several = list(causes)
    index = next((i for i, one in enumerate(several) if "Python threads" in one.per_call), None)
    rest = verdict.rate_of("C heap") - sum(one.per_call.get("C heap", 0.0) for one in several)
    if index is not None and rest > 0:
        known = several[index].per_call
        more = {**known, "C heap": known.get("C heap", 0.0) + rest}
        several[index] = replace(several[index], per_call=more)
    return several
