"""Divides a leak among its holders, with more calls whose blocks are tracked one by one."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.division import Division
from pytest_memguard.attribution.holders import is_below
from pytest_memguard.attribution.holding import Holding
from pytest_memguard.attribution.leak_lines import is_of_tracker
from pytest_memguard.attribution.pieces import chunk_size
from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.attribution.threads import has_threads, is_of_thread
from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.leaks import MEMORY_SIGNALS, RetentionPath, Signal, Verdict
from pytest_memguard.probes.block_tracker import BlockTracker, heap_addresses
from pytest_memguard.probes.heap import TrackerFolder
from pytest_memguard.probes.process_memory import memory_reader
from pytest_memguard.recording.calls import LEAST, make_calls
from pytest_memguard.sizes import format_number
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece
    from pytest_memguard.recording.diagnosis import GrowingContainer

_MOST_OTHERS: Final = 2
"""How many further holders are named."""
_SECONDS: Final = 3.0
"""The most seconds for the work before and after the calls, and for the calls themselves."""
_PARTS: Final = (0.25, 0.625, 1.0)
"""Shares of the calls at which their parts end."""
_LEAST: Final = LEAST // len(_PARTS)
"""The least number of calls in each part."""
_RELEASED_BY: Final[Mapping[Signal, frozenset[str]]] = {
    "open files": frozenset({"fileno", "close"}),
    "Python threads": frozenset({"join"}),
    "native threads": frozenset({"join", "shutdown"}),
    "child processes": frozenset({"wait", "kill", "join"}),
    "asyncio tasks": frozenset({"cancel"}),
}
"""Methods that release such a thing; an object with one of them owns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One holder, or one allocating line, and what it keeps of each call."""

    path: RetentionPath | None
    """Retention path to the holder."""
    pieces: tuple[Piece, ...]
    """The blocks."""
    holding: Holding
    """Everything known about it."""
    calls: int
    """Number of calls."""
    per_call: Mapping[Signal, float]
    """How much of each signal it keeps per call."""
    is_population: bool = False
    """Whether it stands for many containers in one, which each call adds to."""

    def other_holders(self, path: RetentionPath, growing_container: object) -> str:
        """Return what else holds it, in words; empty if nothing was found.

        Args:
            path: the retention path of the holder that is named.
            growing_container: that holder.
        """
        names = dict.fromkeys(self.holding.others)
        if self.path is not None and growing_container is not self.holding.growing_container:
            names = {self.path.holder: None, **names}
        names.pop(path.holder, None)
        beside = [name for name in names if not is_below(name, path.holder)]
        if not beside:
            return ""
        more = len(beside) - _MOST_OTHERS
        some = [*beside[:_MOST_OTHERS], *([f"{more} more"] if more > 0 else [])]
        held = f"{', '.join(some[:-1])} and {some[-1]}" if len(some) > 1 else some[0]
        return f"it is also held by {held}: each of its holders has to let go of it"

    def kept_by_c(self, path: RetentionPath) -> str:
        """Return what would stay if the holder let go, in words; empty if nothing would.

        Args:
            path: the retention path of the holder that is named.
        """
        kept = self.holding.kept_by_c
        blocks = self.per_call.get("blocks", 0.0)
        if kept is None or not blocks or self.path is None or self.path.holder != path.holder:
            return ""
        kinds = " and ".join(kept.kinds)
        stay = format_number(kept.share * blocks, 2)
        return (
            f"{stay} blocks per call would stay if it let go: C code has "
            f"references to {kinds} objects too, which the garbage collector does not report"
        )

    @property
    def is_no_leak(self) -> bool:
        """Whether it is a cache that fills, or belongs to the test runner."""
        return self.path is not None and bool(self.path.bounded or self.path.owner)


def causes_of(
    call: Callable[[], None],
    calls: int,
    least: int,
    collect: Callable[[], None],
    owners: Owners,
) -> list[Cause] | None:
    """Return what keeps what, from more calls.

    Args:
        call: makes one call.
        calls: the number of calls to make.
        least: the least number of them that leak.
        collect: collects garbage, if it is to be collected.
        owners: as for `retention.Search`.

    Returns:
        Leaks before what is no leak; ``None`` if blocks cannot be tracked.

    Raises:
        CallFailed: if a call failed.
    """
    read = memory_reader()
    folder = TrackerFolder()
    if read is None:
        return None
    try:
        tracker = BlockTracker(folder)
        division = Division(seconds=_SECONDS, owners=owners)
        gc.collect()  # of the frozen heap nothing but free lists, which would hide blocks
        try:
            tracker.start()
        except Unmeasurable:
            return None
        try:
            parts: list[int] = []
            for share in _PARTS:
                more = round(share * calls) - sum(parts)
                parts.append(make_calls(call, more, _SECONDS / len(_PARTS), _LEAST))
                tracker.note()
            calls = sum(parts)
            collect()
        finally:
            tracker.stop()
        least = min(least, calls)
        heap = heap_addresses()
        found = division.finish(
            tracker.read, read, calls=least, parts=parts, collect=collect, heap=heap
        )
    finally:
        folder.close()
        gc.freeze()  # as the check had it; garbage was collected before it was thawed
    return None if found is None else [_cause(one, calls) for one in _with_threads(found)]


def size_with_head(piece: Piece) -> int:
    """Return the bytes that a block takes; a table that was there before had its header."""
    return piece.size if piece.tables else chunk_size(piece.size)


def _with_threads(holdings: list[Holding]) -> list[Holding]:
    """Return the holdings; what threads have allocated belongs to the holder of the threads.

    Args:
        holdings: all holdings that were found.
    """
    holder = next((one for one in holdings if has_threads(one.objects)), None)
    if holder is None:
        return holdings
    found: list[Holding] = []
    more: list[Piece] = []
    for one in holdings:
        if one is not holder and one.pieces and _is_of_threads(one):
            more += one.pieces
        elif one is not holder:
            found.append(one)
    return [replace(holder, pieces=(*holder.pieces, *more)), *found]


def _is_of_threads(holding: Holding) -> bool:
    """Return whether most of it was allocated by threads, or to start them."""
    stacks = [piece.stack for piece in holding.pieces if piece.stack]
    return 2 * sum(map(is_of_thread, stacks)) > len(stacks)


def whole(
    path: RetentionPath, growing_container: GrowingContainer | None, verdict: Verdict
) -> Cause:
    """Return one cause for all memory that grows, which cannot be divided.

    Args:
        path: the retention path of the holder.
        growing_container: the holder.
        verdict: how the signals grow.
    """
    container, gained = (
        (None, 0.0)
        if growing_container is None
        else (growing_container.container, growing_container.per_call)
    )
    calls = 100
    holding = Holding(
        path=path,
        pieces=(),
        types=(),
        objects=(),
        growing_container=container,
        gained=round(gained * calls),
    )
    rates = {r.signal: r.per_call for r in verdict.rates if r.signal in MEMORY_SIGNALS}
    return Cause(path=path, pieces=(), holding=holding, calls=calls, per_call=rates)


def _cause(holding: Holding, calls: int) -> Cause:
    return Cause(
        path=holding.path,
        pieces=holding.pieces,
        holding=holding,
        calls=calls,
        per_call={**memory_of(holding, calls), **_resources(holding, calls)},
        is_population=holding.is_population,
    )


def memory_of(holding: Holding, calls: int) -> dict[Signal, float]:
    """Return how much of each signal of memory a holder keeps per call.

    Args:
        holding: the holder, with the blocks of all calls.
        calls: the number of calls.
    """
    pieces = [piece for piece in holding.pieces if not _is_of_tracker(piece)]
    blocks = sum(piece.count for piece in pieces if piece.of_python)
    heap = sum(map(size_with_head, (piece for piece in pieces if piece.in_c_heap)))
    every = sum(map(size_with_head, pieces))
    if holding.growing_container is not None and len(pieces) == 1 and holding.gained > calls:
        # one block that grows in place, of which most was there before
        heap = every = min(holding.gained, every)
    return {"blocks": blocks / calls, "C heap": heap / calls, "USS": every / calls}


def _is_of_tracker(piece: Piece) -> bool:
    """Return whether a block exists only because allocations are tracked.

    Each function that a thread is in has an object of its frame then.
    """
    return piece.of_instruments or is_of_tracker(piece.stack)


def _resources(holding: Holding, calls: int) -> dict[Signal, float]:
    """Return how many things of each kind its objects may own.

    Objects of classes that inherit the same method, such as threads, each own one. Others may
    wrap one another, as the layers of an open file do: the most of one kind count. Each call
    may make a class of its own, so that classes of one name count as one.
    """
    found: dict[Signal, float] = {}
    kinds = {raw.class_name(kind): kind for kind in holding.objects}
    counts = Counter(map(raw.class_name, holding.objects))
    for signal, names in _RELEASED_BY.items():
        owned: Counter[tuple[str, str]] = Counter()
        for key, kind in kinds.items():
            base = next((cls for cls in raw.mro(kind) if _has_any(cls, names)), None)
            if base is not None:
                owned[raw.class_name(base)] += counts[key]
        if owned:
            found[signal] = max(owned.values()) / calls
    return found


def _has_any(cls: type, names: frozenset[str]) -> bool:
    return not names.isdisjoint(raw.namespace(cls))


def explained(causes: Sequence[Cause], signal: Signal) -> float:
    """Return how much of a signal's growth per call some causes keep together."""
    return sum(cause.per_call.get(signal, 0.0) for cause in causes)
