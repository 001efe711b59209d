"""Finds the cause of a leak with more calls under trackers: lines, types and holder."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

from pytest_memguard.attribution.fingerprints import (
    fingerprint,
    former_fingerprint,
    is_registry,
)
from pytest_memguard.attribution.growth import STEADY, GrowthFound, HeapGrowth
from pytest_memguard.attribution.leak_lines import leak_lines, unnamed_blocks
from pytest_memguard.attribution.old_tables import TablesInTrace
from pytest_memguard.attribution.registries import thread_counter
from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.attribution.values import Value, length_of
from pytest_memguard.clock import Clock
from pytest_memguard.codecs.leak_codecs import WHOLE_DIAGNOSIS_CODEC
from pytest_memguard.forking.isolation import can_fork, run_in_fork
from pytest_memguard.judge.growth_scales import is_uneven, measured_rate, rate_after
from pytest_memguard.model.leaks import (
    NOT_FOLLOWED,
    STARTS_TRACEMALLOC,
    Diagnosis,
    RetentionPath,
    Verdict,
)
from pytest_memguard.probes.heap import TrackerFolder
from pytest_memguard.probes.python_blocks import TracingStopped, traced_again
from pytest_memguard.probes.surviving_blocks import SurvivingBlocks, SurvivorTracker, is_warm
from pytest_memguard.recording.calls import LEAST, TimedCall, in_time, make_calls
from pytest_memguard.recording.further_search import searched_further
from pytest_memguard.recording.moved_alone import moved_alone, with_added
from pytest_memguard.recording.settled_signals import forget_types

_CALLS: Final = 16
_CALLS_IF_SPARSE: Final = 24
_CALLS_PER_LEAK: Final = 4
"""Most calls per growth of a holder: it still counts as growing in every fourth call."""
_ENOUGH_CALLS: Final = 30
"""The least number of calls of a check in which the holder has grown."""
_SECONDS: Final = 2.5
"""The most seconds of calls under each tracker."""
_TRACKED: Final = 4
"""How many times as many calls are made until the last tracker has ended."""
_RUNS: Final = 4
"""Number of trackers under which calls are made, one after the other."""
_GROWTH_SECONDS: Final = 2.0
"""The most seconds of work for types and holder. It is more than twice what a million objects
take: an incomplete search would give the leak another name the next time."""
_FEEDING_CALLS: Final = 6
ALIKE: Final = 5.0
"""How many times faster or slower the same leak may grow in another test."""
_FORK_SECONDS: Final = 60.0
_PART_OF_OBJECTS: Final = 0.25
"""Which part of the new objects a holder leads to, if there was no time to make sure of it."""
_PART_OF_BLOCKS: Final = 0.05
"""How many items it gains for each block, if no new object is tracked."""
_FEW_TABLES: Final = 4
"""So many blocks more than stay are no tables of many old containers that have moved."""


def diagnose(
    call: Callable[[], None],
    verdict: Verdict,
    collect: Callable[[], None],
    *,
    fork: bool,
    seconds: float = inf,
    owners: Owners = (),
) -> tuple[Diagnosis, GrowingContainer | None]:
    """Find out what keeps the memory.

    Args:
        call: makes one call.
        verdict: how the signals grow.
        collect: collects garbage, if it is to be collected.
        fork: whether to do so in a forked child.
        seconds: after these seconds nothing is begun that only adds detail.
        owners: as for `retention.Search`.

    Returns:
        The cause, and the container that grows, if there is one in this process.

    Raises:
        CallFailed: if a call failed.
    """
    if not fork:
        return _diagnosed(call, verdict, collect, seconds, owners)
    if not can_fork():
        note = "this platform cannot fork (--mem-leak-blame=fork)"
        return Diagnosis(calls=0, notes=(note,)), None
    result = run_in_fork(
        lambda: WHOLE_DIAGNOSIS_CODEC.write(
            _diagnosed(call, verdict, collect, seconds, owners)[0]
        ),
        _FORK_SECONDS,
    )
    if result.problem:
        note = f"no answer from the forked child: {result.problem}"
        return Diagnosis(calls=0, notes=(note,)), None
    return WHOLE_DIAGNOSIS_CODEC.read(result.value), None


class GrowingContainer:
    """A container that grows with a leak, to find out whether other calls add to it too.

    This object keeps the container alive, which is harmless: it leaks.

    Args:
        container: the container or `values.Value` that the retention path leads to.
        per_call: the number of items that it gains per call.
    """

    def __init__(self, container: object, per_call: float) -> None:
        self.container = container
        self.per_call = per_call

    def fed_by(self, call: Callable[[], None], collect: Callable[[], None]) -> float:
        """Return how many times as fast as before it grows with a few calls.

        Args:
            call: makes one call.
            collect: collects garbage, if it is to be collected.

        Returns:
            The ratio; 0 if it is not about as fast.

        Raises:
            CallFailed: if a call failed.
        """
        before = length_of(self.container)
        for _ in range(_FEEDING_CALLS):
            call()
        collect()
        grown = (length_of(self.container) - before) / _FEEDING_CALLS
        ratio = grown / self.per_call
        return ratio if 1 / ALIKE <= ratio <= ALIKE else 0.0


def _diagnosed(
    call: Callable[[], None],
    verdict: Verdict,
    collect: Callable[[], None],
    limit: float,
    owners: Owners,
) -> tuple[Diagnosis, GrowingContainer | None]:
    start = Clock.seconds()
    call()
    seconds = Clock.seconds() - start
    end = start + limit
    collect = _settled(collect)
    collect()
    per_call = _blocks_per_call(verdict)
    calls, least = calls_for(seconds, verdict, limit)
    folder = TrackerFolder()
    tracker = SurvivorTracker(folder)
    # without memray, or beside tracemalloc, lines take no further calls that would confirm it;
    # and there is no time for such of a slow callable
    measures = not is_warm() or tracemalloc.is_tracing() or calls < _CALLS
    growth = HeapGrowth(measures=measures, seconds=_GROWTH_SECONDS, owners=owners)
    try:
        gc.collect()  # of the frozen heap nothing but free lists, which would hide blocks
        tracker.start()
        try:
            made = make_calls(call, calls, _SECONDS)
            collect()
        finally:
            tracker.stop()
        calls, least = made, min(least, made)
        found = growth.finish(calls=least, collect=collect)
        surviving = tracker.read()
        glanced = found.sure and not measures
        measure = partial(_measured, call, collect=collect, owners=owners)
        found = _made_sure(found, verdict, measure, calls, least, counts=growth.replaced)
    finally:
        folder.close()
        gc.freeze()  # as the check had it; garbage was collected before it was thawed
    before, note = length_of(found.growing_container), tracker.note
    if not note and Clock.seconds() >= end:
        note = NOT_FOLLOWED
    tables = _tables(found, surviving, per_call * calls, calls)
    if tables.seeks_old and found.added:  # as far as is known without a trace
        surviving = with_added(surviving, found.added)
    if not note:
        trace = partial(traced_again, call, calls, collect, surviving, tables)
        surviving, note = _traced(trace, surviving)
    if glanced and not _goes_on(found, length_of(found.growing_container) - before, least):
        found = in_time(partial(measure, calls, least), _without_holder(found))
    if found.notes or (isinstance(call, TimedCall) and call.is_over):
        found = _with_evidence(found, per_call, least)
    diagnosis = _diagnosis(calls, surviving, found, verdict, note)
    if Clock.seconds() < end:
        diagnosis, found = searched_further(
            call, diagnosis, found, verdict, sparse=per_call < 1, seconds=seconds
        )
    collect()
    per_call = found.gained / (calls if per_call >= 1 else _CALLS_IF_SPARSE)
    container = _growing_container(diagnosis, found, per_call)
    return named(diagnosis), container or growing_threads(diagnosis.path, verdict)


def _traced(
    trace: Callable[[], list[SurvivingBlocks]], known: list[SurvivingBlocks]
) -> tuple[list[SurvivingBlocks], str]:
    """Return what a trace shows, or what is known if it shows nothing, and a note on that."""
    try:
        return (in_time(trace, known), "")
    except TracingStopped:
        return (known, STARTS_TRACEMALLOC)


def _with_evidence(found: GrowthFound, blocks: float, least: int) -> GrowthFound:
    """Return what was found in too little time, without a holder if it may be another one's.

    Any container may have got something in the few calls: it has to grow with every call, and
    to lead to a good part of what is new.

    Args:
        found: what was found.
        blocks: the number of blocks that stay per call.
        least: the least number of the calls that leak.
    """
    if found.path is None or found.path.bounded or found.path.owner:
        return found
    is_part = (
        found.reached >= _PART_OF_OBJECTS
        if found.types  # else nothing that is new is tracked: each item is a part of it
        else found.gained >= _PART_OF_BLOCKS * blocks * least
    )
    if is_part and found.gained >= STEADY * least:
        return found
    return _without_holder(found)


def _without_holder(found: GrowthFound) -> GrowthFound:
    return replace(found, path=None, growing_container=None, gained=0)


def _tables(
    found: GrowthFound, surviving: list[SurvivingBlocks], blocks: float, calls: int
) -> TablesInTrace:
    """Return what knows tables in a trace, those of old containers if some may have moved.

    Args:
        found: what was found to grow.
        surviving: all blocks that the calls have left behind.
        blocks: the number of Python's blocks that stay of these calls: a table that has moved
            is none of them.
        calls: the number of these calls. Fewer tables than that change no line by a block per
            call, and looking for them takes as long as the rest of the search.
    """
    excess = sum(one.count for one in surviving if one.of_python) - blocks
    alone = moved_alone(surviving).total()
    seeks_old = max(excess, alone) > max(_FEW_TABLES, calls)
    return TablesInTrace(found.growing_container, old=seeks_old)


def _made_sure(
    found: GrowthFound,
    verdict: Verdict,
    measure: Callable[..., GrowthFound],
    calls: int,
    least: int,
    *,
    counts: bool,
) -> GrowthFound:
    """Return what grows, measured in more calls if the first ones did not show it surely.

    The heap is not frozen, as `HeapGrowth.finish` leaves it.

    Args:
        found: what they showed.
        verdict: how the signals grow.
        measure: `_measured` for the callable.
        calls: the number of calls to make.
        least: the least number of them that leak.
        counts: whether new objects may have replaced others.
    """
    per_call = _blocks_per_call(verdict)
    if not found.sure:
        made = min(verdict.calls, _ENOUGH_CALLS) + calls
        shortest = int(STEADY * made / _CALLS_PER_LEAK)  # what grows has had so much already
        more = partial(measure, calls, least, shortest=shortest, counts=counts, collected=True)
        found = in_time(more, found)
    if found.path is None and not found.types and per_call >= 1:
        # a leak on every third call may still leave several blocks per call on the whole
        more = partial(measure, _CALLS_IF_SPARSE, _CALLS_IF_SPARSE // _CALLS_PER_LEAK)
        found = in_time(more, found)
    return found


def named(diagnosis: Diagnosis) -> Diagnosis:
    """Return a cause with its fingerprint, and the one that earlier versions gave it."""
    diagnosis = replace(diagnosis, fingerprint=fingerprint(diagnosis))
    return replace(diagnosis, earlier_fingerprint=former_fingerprint(diagnosis))


def _growing_container(
    diagnosis: Diagnosis, found: GrowthFound, per_call: float
) -> GrowingContainer | None:
    """Return the container that grows, unless another leak may add to it as well."""
    shared = diagnosis.path is None or is_registry(diagnosis.path.holder)
    return (
        None
        if shared or found.gained <= 0
        else GrowingContainer(found.growing_container, per_call)
    )


def growing_threads(path: RetentionPath | None, verdict: Verdict) -> GrowingContainer | None:
    """Return the threads of a kind, where the interpreter's registry of them is the holder.

    Args:
        path: to the holder.
        verdict: how fast threads become more.
    """
    count = thread_counter(path.holder) if path is not None else None
    per_call = verdict.rate_of("Python threads")
    return (
        GrowingContainer(Value(count), per_call) if count is not None and per_call > 0 else None
    )


def with_own_sizes(
    diagnosis: Diagnosis, call: Callable[[], None], collect: Callable[[], None]
) -> Diagnosis:
    """Return a cause with the sizes of the small blocks that another call leaves behind.

    Args:
        diagnosis: of the call that showed the leak first, at the rate of the other call.
        call: makes the other call.
        collect: collects garbage, if it is to be collected.

    Raises:
        CallFailed: if a call failed.
    """
    known = sum(line.small for line in diagnosis.lines) / max(1, diagnosis.calls)
    if not known:
        return diagnosis
    try:
        found = traced_again(call, _FEEDING_CALLS, _settled(collect), [], TablesInTrace())
    except TracingStopped:
        return diagnosis
    times = sum(blocks.small for blocks in found) / _FEEDING_CALLS / known
    if times <= 0:
        return diagnosis
    resized = []
    for line in diagnosis.lines:
        small = round(times * line.small)
        resized.append(replace(line, small=small, size=line.size - line.small + small))
    return replace(diagnosis, lines=tuple(resized))


def _settled(collect: Callable[[], None]) -> Callable[[], None]:
    """Return a function that empties the interpreter's type cache and collects garbage."""

    def settle() -> None:
        forget_types()
        collect()

    return settle


def calls_for(seconds: float, verdict: Verdict, limit: float = inf) -> tuple[int, int]:
    """Return how many calls to make under a tracker, and how many of them leak at least.

    Args:
        seconds: the duration of a call.
        verdict: how the signals grow.
        limit: seconds for all trackers together.
    """
    is_steady = _blocks_per_call(verdict) >= 1 and not is_uneven(verdict.rounds, "blocks")
    calls = _CALLS if is_steady else _CALLS_IF_SPARSE
    in_time = min(_SECONDS, limit / _RUNS) / max(seconds, 1e-9)
    calls = max(LEAST, int(min(calls, in_time)))
    return calls, calls if is_steady else calls // _CALLS_PER_LEAK


def _measured(
    call: Callable[[], None],
    calls: int,
    least: int,
    *,
    collect: Callable[[], None],
    shortest: int = 0,
    counts: bool = True,
    collected: bool = False,
    owners: Owners = (),
) -> GrowthFound:
    """Return what grows during more calls, with containers measured before and after.

    Args:
        call: makes one call.
        calls: the number of calls to make.
        least: the least number of them that leak.
        collect: collects garbage, if it is to be collected.
        shortest: containers of at least this length are measured.
        counts: whether new objects may have replaced others.
        collected: as for `HeapGrowth`.
        owners: as for `retention.Search`.
    """
    growth = HeapGrowth(
        seconds=_GROWTH_SECONDS,
        shortest=shortest,
        counts=counts,
        collected=collected,
        owners=owners,
    )
    try:
        for _ in range(calls):
            call()
        return growth.finish(calls=least, collect=collect)
    finally:
        gc.freeze()  # as the check had it


def _goes_on(found: GrowthFound, growth: int, least: int) -> bool:
    """Return whether a holder keeps growing, so that new objects did not only replace others.

    Args:
        found: what was found without measuring containers.
        growth: by how much the holder has grown in as many more calls.
        least: the least number of these calls that leak.
    """
    is_filling = found.path is not None and bool(found.path.bounded)
    return growth >= (1 if is_filling else STEADY * least)


def _diagnosis(
    calls: int,
    surviving: list[SurvivingBlocks],
    found: GrowthFound,
    verdict: Verdict,
    note: str,
) -> Diagnosis:
    per_call = _blocks_per_call(verdict)
    known = rate_after(verdict.rounds, "blocks", _TRACKED * calls)
    heap = max(0.0, measured_rate(verdict.rounds, "C heap") or 0.0)
    lines = leak_lines(surviving, calls, per_call, known, heap)
    unnamed, unnamed_small = unnamed_blocks(surviving, lines, calls, per_call)
    notes = tuple(text for text in (note, *found.notes) if text)
    return Diagnosis(
        calls=calls,
        lines=lines,
        types=found.types,
        path=found.path,
        notes=notes,
        traced=note == STARTS_TRACEMALLOC,
        unnamed=unnamed,
        unnamed_small=unnamed_small,
    )


def _blocks_per_call(verdict: Verdict) -> float:
    rates = [rate.per_call for rate in verdict.rates if rate.signal == "blocks"]
    return rates[0] if rates else min((rate.per_call for rate in verdict.rates), default=1.0)
