"""Tells who asked for the blocks of Python objects that stay, not where they are from."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from pytest_memguard.probes.function_names import Functions, Place
from pytest_memguard.probes.survivors import Survivors, frames

_FRAMES: Final = 24
_MOST_BLOCKS: Final = 100_000


def told_again(
    call: Callable[[], None],
    calls: int,
    collect: Callable[[], None],
    survivors: list[Survivors],
) -> list[Survivors]:
    """Survivors, those of Python's allocators from as many more calls under tracemalloc.

    The interpreter keeps tuples, lists and others for reuse. memray sees where the memory of
    one was allocated, perhaps for another one that is long gone; tracemalloc sees who got it
    last. The names of functions, and which C functions there are, only memray knows.

    Args:
        call: makes one call.
        calls: how many to make.
        collect: collects garbage, if it is to be collected.
        survivors: as memray tells them.

    Raises:
        CallFailed: if a call went wrong.
    """
    if tracemalloc.is_tracing():
        return survivors
    gc.collect()  # empties what is kept for reuse; the check has frozen the heap
    blocks = sys.getallocatedblocks()
    tracemalloc.start(_FRAMES)
    try:
        for _ in range(calls):
            call()
        collect()
        if sys.getallocatedblocks() - blocks > _MOST_BLOCKS or not tracemalloc.is_tracing():
            return survivors
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    # other domains are those of extensions, whose memory memray has seen
    filters = [tracemalloc.DomainFilter(inclusive=True, domain=0)]
    statistics = snapshot.filter_traces(filters).statistics("traceback")
    told = [
        Survivors(stack=frames(s.traceback), native=(), count=s.count, size=s.size)
        for s in statistics
    ]
    return [*_completed(told, survivors), *(s for s in survivors if not s.of_python)]


def _completed(told: Iterable[Survivors], survivors: list[Survivors]) -> list[Survivors]:
    """What tracemalloc told, with what memray knows of the same places."""
    largest: dict[Place, Survivors] = {}
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
    for blocks in told:
        stack = functions.named(blocks.stack)
        same = largest.get(blocks.stack[0][1:])
        native = () if same is None else same.native
        completed.append(replace(blocks, stack=stack, native=native))
    return completed
