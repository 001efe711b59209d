"""Divides the growth of each signal among its causes, so that the parts never exceed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.growth import STEADY
from pytest_memguard.attribution.leak_lines import line_of_shared
from pytest_memguard.judge.rounds import FLOORS
from pytest_memguard.model.leaks import BYTE_SIGNALS, MEMORY_SIGNALS, Rate, Signal, Verdict
from pytest_memguard.recording.causes import size_with_head
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece
    from pytest_memguard.recording.causes import Cause

_AS_MEASURED: Final = 1.5
"""Shares are scaled to the growth if it is at most so many times what the holders keep, and are
trusted if they are at most so many times the growth."""
_OFF: Final = 0.25
"""Part of the largest share by which all shares of blocks may differ from the growth."""
_CANNOT_BE_DIVIDED: Final = (
    "the growth of {} cannot be divided exactly among the leaks: the calls under the tracker "
    "kept {:.1f} times as much as each call does on the whole"
)
_NAMES: Final[dict[Signal, str]] = {"C heap": "the C heap", "USS": "resident memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What each of several causes keeps of all growth."""

    rates: tuple[tuple[Rate, ...], ...]
    """The rates of each cause, in the order of the causes; empty for one that keeps too
    little."""
    notes: tuple[str, ...]
    """Which signals could not be divided, and why."""


def shares_of(causes: Sequence[Cause], verdict: Verdict) -> Shares:
    """Divide the growth of each signal; all causes together get at most its rate.

    Args:
        causes: what keeps something, with what it kept of a few calls.
        verdict: leaking, with the rates over all calls.
    """
    rates: list[list[Rate]] = [[] for _ in causes]
    notes = []
    for rate in verdict.rates:
        amounts = _amounts(rate, causes)
        enough = [amount > FLOORS[rate.signal] for amount in amounts]
        for found, amount, is_enough in zip(rates, amounts, enough, strict=True):
            if is_enough:
                found.append(part_of(rate, amount))
        excess = _excess(rate, causes)
        if excess > _AS_MEASURED and sum(enough) > 1:
            notes.append(_CANNOT_BE_DIVIDED.format(name_of(rate.signal), excess))
    return Shares(rates=tuple(map(tuple, rates)), notes=tuple(notes))


def part_of(rate: Rate, per_call: float) -> Rate:
    """Return the rate of a part of the growth, with its part of the interval.

    Args:
        rate: the whole growth.
        per_call: how much of it.
    """
    share = per_call / rate.per_call if rate.per_call else 1.0
    return replace(rate, per_call=per_call, low=rate.low * share, high=rate.high * share)


def name_of(signal: Signal) -> str:
    """Return what grows, as the subject of a sentence."""
    return _NAMES.get(signal, signal)


def _amounts(rate: Rate, causes: Sequence[Cause]) -> list[float]:
    """Return how much of a signal's growth per call each cause keeps."""
    shares = [cause.per_call.get(rate.signal, 0.0) for cause in causes]
    if rate.signal not in MEMORY_SIGNALS:
        return _in_turn(shares, rate.per_call)
    known = sum(shares)
    if known <= _AS_MEASURED * rate.per_call:
        is_all = rate.per_call <= _AS_MEASURED * known
        if is_all and rate.signal not in BYTE_SIGNALS and _can_be_off(shares, rate.per_call):
            return _with_rest_in_largest(shares, rate.per_call)
        return [share * (rate.per_call / known if is_all else 1.0) for share in shares]
    steady = _steady_shares(rate.signal, causes)
    of_steady = sum(steady)
    if of_steady >= rate.per_call:
        return [share * rate.per_call / of_steady for share in steady]
    # what few calls have left, such as a table that grew: how often it is left is not known
    scale = (rate.per_call - of_steady) / (known - of_steady)
    return [each + scale * (share - each) for share, each in zip(shares, steady, strict=True)]


def _can_be_off(shares: Sequence[float], whole: float) -> bool:
    """Return whether the difference to the whole is a small part of the largest share."""
    return abs(whole - sum(shares)) <= _OFF * max(shares)


def _with_rest_in_largest(shares: Sequence[float], whole: float) -> list[float]:
    """Return the shares; the largest has what is left: so many blocks were seen of the others.

    Where each call leaves 3 blocks beside a thread of 29, which was seen with 31, it is 3.
    """
    largest = max(range(len(shares)), key=shares.__getitem__)
    found = list(shares)
    found[largest] += whole - sum(shares)
    return found


def _in_turn(shares: Sequence[float], whole: float) -> list[float]:
    """Return the shares as long as something is left: not every object owns a resource."""
    found = []
    for share in shares:
        found.append(min(share, whole))
        whole -= found[-1]
    return found


def _excess(rate: Rate, causes: Sequence[Cause]) -> float:
    """Return how many times the growth what each of the few calls left is, if it is a guess."""
    known = sum(cause.per_call.get(rate.signal, 0.0) for cause in causes)
    if rate.signal not in MEMORY_SIGNALS or rate.per_call <= 0:
        return 0.0
    steady = sum(_steady_shares(rate.signal, causes))
    is_settled = rate.per_call / _AS_MEASURED <= steady <= _AS_MEASURED * rate.per_call
    return 0.0 if is_settled else known / rate.per_call


def _steady_shares(signal: Signal, causes: Sequence[Cause]) -> list[float]:
    """Return what each cause keeps in blocks that every call leaves, by line and size."""
    sizes = _SIZES[signal]
    return [
        min(cause.per_call.get(signal, 0.0), _steady_share(cause, sizes)) for cause in causes
    ]


def _steady_share(cause: Cause, size: Callable[[Piece], int]) -> float:
    blocks: Counter[object] = Counter()
    sizes: Counter[object] = Counter()
    for piece in cause.pieces:
        each = piece.block or piece.size // max(1, piece.count)
        line = line_of_shared(piece.stack) if piece.stack else None
        kind = (line, piece.native[:1], each.bit_length())
        blocks[kind] += piece.count
        sizes[kind] += size(piece)
    least = STEADY * cause.calls
    return sum(sizes[kind] for kind, count in blocks.items() if count >= least) / cause.calls


def _python_blocks(piece: Piece) -> int:
    return piece.count if piece.of_python else 0


def _heap_bytes(piece: Piece) -> int:
    return size_with_head(piece) if piece.in_c_heap else 0


_SIZES: Final[dict[Signal, Callable[[Piece], int]]] = {
    "blocks": _python_blocks,
    "C heap": _heap_bytes,
    "USS": size_with_head,
}
"""How much of a signal a block is."""
