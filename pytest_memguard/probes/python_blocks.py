"""Finds with tracemalloc which code owns blocks that stay, whatever allocated their memory."""

from __future__ import annotations

import _thread
import gc
import sys
import threading
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from pytest_memguard.probes.function_names import FileAndLine, Functions
from pytest_memguard.probes.surviving_blocks import (
    BlocksByStack,
    SurvivingBlocks,
    blocks_in,
    grown_between,
    grown_tables_of,
    surviving_blocks_of,
)
from pytest_memguard.values import dataclass

_FRAMES: Final = 24
_ROUND_SECONDS: Final = 0.25
"""Seconds that most loops of threads take for a round."""
_BEFORE: Final = 4
"""One in so many of the calls is made before the first snapshot."""
_MOST_BLOCKS: Final = 100_000
_SEVERAL: Final = 4
"""So many tables that one line has moved show that it adds to others that are alike."""
_OUR_FILES: Final = str(Path(__file__).parents[1] / "*")
Result = TypeVar("Result")
Moves = Counter[tuple[int, tracemalloc.Traceback, tracemalloc.Traceback]]
"""Numbers of blocks by size, the stack that allocated them, and the stack that they
belong to."""


class TracedTable(Protocol):
    """The table of a container that was there before, and has another length now."""

    @property
    def kind(self) -> type:
        """The container's type."""

    @property
    def traceback(self) -> tracemalloc.Traceback | None:
        """What allocated the table, if it has moved since tracing began."""

    @property
    def size(self) -> int:
        """The table's bytes."""

    @property
    def length(self) -> int:
        """The container's length."""

    @property
    def before(self) -> int:
        """Its length before anything was traced."""


class TracedTables(Protocol):
    """Knows which traced blocks have only taken the place of others."""

    def start(self) -> None:
        """Get ready, before anything is traced."""

    def read(self) -> tuple[Moves, Mapping[int, TracedTable]]:
        """Return blocks that belong to other code than allocated them, and tables by id."""


class TracingStopped(Exception):  # noqa: N818  a state of the calls, not an error of ours
    """A call stopped our use of tracemalloc, because it uses tracemalloc itself."""


def traced_again(
    call: Callable[[], None],
    calls: int,
    collect: Callable[[], None],
    survivors: list[SurvivingBlocks],
    tables: TracedTables | None = None,
) -> list[SurvivingBlocks]:
    """Return surviving blocks, those of Python's allocators from more calls under tracemalloc.

    The interpreter keeps freed tuples, lists and other objects for reuse. memray reports where
    the memory of such an object was allocated, perhaps for another object that no longer
    exists; tracemalloc reports which code got it last. Only memray knows names of functions,
    and C functions.

    Some calls are made before the first of two snapshots, so that blocks which each call
    replaces are in both of them.

    Args:
        call: makes one call.
        calls: the number of calls to make.
        collect: collects garbage, if it is to be collected.
        survivors: surviving blocks as memray reports them.
        tables: knows which blocks have only taken the place of others.

    Raises:
        CallFailed: if a call failed.
        TracingStopped: if a call stopped tracemalloc.
    """
    if tracemalloc.is_tracing():
        return survivors
    gc.collect()  # garbage freed later would hide new blocks
    if tables is not None:
        tables.start()
    blocks = sys.getallocatedblocks()
    tracemalloc.start(_FRAMES)
    try:
        _let_threads_go_round()
        # the same line makes all calls: it is a part of their stacks
        before, after = (
            _snapshot(call, times, collect, blocks, tables)
            for times in (max(1, calls // _BEFORE), calls)
        )
    finally:
        tracemalloc.stop()
    if before is None or after is None:
        return survivors
    grown = grown_between(before.blocks(), after.blocks()).items()
    traced = [surviving_blocks_of(traceback, sizes) for traceback, sizes in grown]
    traced += [grown_tables_of(*one) for one in _grown(before.tables, after.tables).items()]
    return [
        *_completed((s for s in traced if s is not None), survivors),
        *(s for s in survivors if not s.of_python),
    ]


def _let_threads_go_round() -> None:
    """Give other threads time to replace what they have with something that is traced.

    One that waits in a loop replaces a lock each time. What takes the place of untraced blocks
    would count as growth.
    """
    if threading.active_count() > 1:
        time.sleep(_ROUND_SECONDS)


def stops_tracing(call: Callable[[], None]) -> bool:
    """Return whether a call ends our use of tracemalloc: it uses tracemalloc itself.

    Args:
        call: makes one call.

    Raises:
        CallFailed: if the call went wrong.
    """
    if tracemalloc.is_tracing():
        return False
    tracemalloc.start()
    try:
        call()
        return not tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """What is traced after a number of calls."""

    traces: tracemalloc.Snapshot
    """All blocks."""
    moves: Moves
    """Those that belong to other code than allocated them."""
    tables: Mapping[int, TracedTable]
    """Those of old containers with another length, by the id of the container."""

    def blocks(self) -> BlocksByStack:
        """Return the new blocks of Python's allocators, except those of the snapshot itself.

        Extensions may have allocators in a domain of their own, which memray has tracked.
        """
        of_python = tracemalloc.DomainFilter(inclusive=True, domain=0)
        of_others = [
            tracemalloc.Filter(inclusive=False, filename_pattern=file)
            for file in (tracemalloc.__file__, _OUR_FILES)
        ]
        found = blocks_in(self.traces.filter_traces([of_python, *of_others]))
        for (size, allocated, belongs), count in self.moves.items():
            found[allocated][size] -= count
            found[belongs][size] += count
        for table in self.tables.values():
            if table.traceback is not None:  # it has taken the place of another one
                found[table.traceback][table.size] -= 1
        return found


def _snapshot(
    call: Callable[[], None],
    calls: int,
    collect: Callable[[], None],
    blocks: int,
    tables: TracedTables | None,
) -> _Snapshot | None:
    """Return a snapshot after a number of calls; ``None`` if it would be too large."""
    gc.collect()  # clears free lists; the check has frozen the heap
    for _ in range(calls):
        call()
    collect()
    if not tracemalloc.is_tracing():
        raise TracingStopped
    if sys.getallocatedblocks() - blocks > _MOST_BLOCKS:
        return None
    return on_short_stack(partial(_snapshot_now, tables))


def _snapshot_now(tables: TracedTables | None) -> _Snapshot:
    traces = tracemalloc.take_snapshot()
    moves, grown = (Counter(), {}) if tables is None else tables.read()
    return _Snapshot(traces=traces, moves=moves, tables=grown)


def on_short_stack(function: Callable[[], Result]) -> Result:
    """Return the result of a function, called in a thread of its own if one can be started.

    tracemalloc walks the whole stack for each new block. That of a test under pytest is so deep
    that what a function allocates takes six times as long there. No garbage is collected
    meanwhile: finalizers of the test's objects may belong to this thread.

    Args:
        function: has no arguments.
    """
    results: list[Result] = []
    errors: list[Exception] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001  raised again below
            errors.append(error)
        finally:
            ended.release()

    collects = gc.isenabled()
    gc.disable()
    try:
        _thread.start_new_thread(run, ())
        ended.acquire()
    except RuntimeError:  # there is a limit
        return function()
    finally:
        if collects:
            gc.enable()
    for error in errors:
        raise error
    return results[0]


def _grown(
    before: Mapping[int, TracedTable], after: Mapping[int, TracedTable]
) -> dict[tracemalloc.Traceback, list[tuple[int, float]]]:
    """Return the bytes of tables that grew between two snapshots, and by how many each.

    A table belongs to the line that moved it last. One that has not moved yet has no line, but
    others of its kind to which as much was added have: it is theirs as well.
    """
    alike: dict[tuple[type, int], Counter[tracemalloc.Traceback]] = defaultdict(Counter)
    waiting: dict[tuple[type, int], list[tuple[int, float]]] = defaultdict(list)
    found: dict[tracemalloc.Traceback, list[tuple[int, float]]] = defaultdict(list)
    for key, table in after.items():
        known = before.get(key)
        gained = table.length - (table.before if known is None else known.length)
        added = table.size * gained / max(1, table.length)
        if gained and table.traceback is not None:
            found[table.traceback].append((table.size, added))
            alike[table.kind, gained][table.traceback] += 1
        elif gained:
            waiting[table.kind, gained].append((table.size, added))
    for kind, tables in waiting.items():
        for traceback, count in alike[kind].items():
            if count >= _SEVERAL:
                share = count / alike[kind].total()
                found[traceback] += [(size, share * added) for size, added in tables]
    return found


def _completed(
    traced: Iterable[SurvivingBlocks], survivors: list[SurvivingBlocks]
) -> list[SurvivingBlocks]:
    """Return blocks from tracemalloc, completed with what memray knows of the same lines."""
    largest: dict[FileAndLine, SurvivingBlocks] = {}
    for blocks in survivors:
        if blocks.of_python and blocks.stack:
            place = blocks.stack[0][1:]
            known = largest.setdefault(place, blocks)
            largest[place] = max(known, blocks, key=lambda one: one.size)
    names = {f[1:]: f[0] for blocks in survivors for f in blocks.stack}
    # of functions that share a line, the one that allocates
    names |= {place: blocks.stack[0][0] for place, blocks in largest.items()}
    functions = Functions(names)
    completed = []
    for blocks in traced:
        stack = functions.named(blocks.stack)
        same = largest.get(blocks.stack[0][1:])
        native = () if same is None else same.native
        completed.append(replace(blocks, stack=stack, native=native))
    return completed
