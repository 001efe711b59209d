"""Divides the leak of a callable into several, each with its own numbers, lines and holder."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.growth import STEADY
from pytest_memguard.attribution.leak_lines import (
    Blocks,
    is_pytest,
    leak_lines,
    line_of_shared,
    unnamed_blocks,
    with_function,
)
from pytest_memguard.attribution.origins import (
    Origin,
    Origins,
    with_functions,
    without_moved,
    without_replaced,
)
from pytest_memguard.attribution.retention import stack_frames
from pytest_memguard.attribution.values import is_value, length_of
from pytest_memguard.attribution.watching import (
    Gauge,
    Level,
    Watch,
    gauge_of,
    with_left,
    with_watched,
)
from pytest_memguard.judge.rounds import FLOORS, latest, pairs_of
from pytest_memguard.model.leaks import (
    BYTE_SIGNALS,
    MEMORY_SIGNALS,
    Diagnosis,
    LeakLine,
    Rate,
    Signal,
    Verdict,
)
from pytest_memguard.probes.function_names import Functions
from pytest_memguard.probes.python_blocks import on_short_stack
from pytest_memguard.probes.signal_readers import heap_used
from pytest_memguard.probes.surviving_blocks import frames
from pytest_memguard.recording.c_memory_parts import RARELY, with_c_memory_divided
from pytest_memguard.recording.diagnosis import GrowingContainer, growing_threads, named
from pytest_memguard.recording.populations import combined, without_populations
from pytest_memguard.recording.shares import name_of, part_of, shares_of
from pytest_memguard.sizes import format_number
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.attribution.pieces import Piece
    from pytest_memguard.recording.causes import Cause

_EXPLAINED: Final = 0.75
"""The holders found explain a signal if they keep this share of its growth."""
_TOO_MUCH: Final = 1.3
"""How many times as much as is left to explain blocks without a holder may be."""
_UNSURE: Final = 0.25
"""Share of the growth that always remains to be explained: holders may be mistaken."""
_MAIN: Final = 0.3
"""Least share of the blocks of a lost object that are from the line that makes it."""
_CONTENTS: Final = 0.25
"""Least share of all bytes that the contents of a container must be for their lines to
suffice."""
_BEFORE: Final = 4
"""One call is made for so many calls, before which nothing counts as what they have made."""
_WATCHED_CALLS: Final = 6
_IN_NO_LEAK: Final = (
    "{1} of the {2} bytes per call by which {0} grows are in none of these leaks: they were "
    "not seen at a line of their own"
)
_FAR_TOO_MUCH: Final = 10
"""Growth seen in a few calls is ignored if it is more than so many times the growth per
call."""


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


def parts_of(
    causes: Sequence[Cause],
    verdict: Verdict,
    excluded: Sequence[Cause],
    call: Callable[[], None],
    collect: Callable[[], None],
) -> tuple[Part, ...]:
    """Divide a verdict: each cause with what it keeps, then what no cause explains.

    Args:
        causes: the holders and lines that leak.
        verdict: leaking.
        excluded: what grows and is no leak.
        call: makes one call.
        collect: collects garbage, if it is to be collected.

    Raises:
        CallFailed: if a call failed.
    """
    causes = without_populations(
        _with_lost(with_c_memory_divided(_as_counted(causes, verdict)))
    )
    causes = _within(causes, verdict) or causes
    causes = _with_memory_of_threads(causes, verdict)
    shares = shares_of(causes, verdict)
    chosen = [
        (cause, rates) for cause, rates in zip(causes, shares.rates, strict=True) if rates
    ]
    found = []
    if len(chosen) > 1 or (chosen and (excluded or _has_resources(verdict))):
        origins = origins_of([cause for cause, _ in chosen], call, collect)
        for (cause, rates), made in zip(chosen, origins, strict=True):
            found.append(_part(cause, replace(verdict, rates=rates), made))
    else:
        found += [_part(cause, replace(verdict, rates=rates), []) for cause, rates in chosen]
    found.sort(key=lambda part: _size_of(part.verdict), reverse=True)
    rests = [_rest(rate, found) for rate in verdict.rates if _is_left(rate, causes)]
    left = [rate for rate in rests if rate.per_call > FLOORS[rate.signal]]
    signals = {rate.signal for rate in left}
    if "Python threads" in signals:
        left = [rate for rate in left if rate.signal != "native threads"]
    known = [cause for cause in (*causes, *excluded) if cause.pieces]
    unknown = []
    for rate in left:
        if any(part.verdict.rate_of(rate.signal) for part in found) and _is_in_steps(
            rate, verdict
        ):
            unknown.append(rate)
            continue
        part = _watched(replace(verdict, rates=(rate,)), call, collect)
        if rate.signal not in MEMORY_SIGNALS or (not found and not excluded):
            _add(found, part)
        elif not _is_known(part, known):
            found.append(part)
        else:
            unknown.append(rate)
    found = _joined(found)
    if len(found) > 1 or (found and excluded):
        notes = (*shares.notes, *_unknown(unknown, verdict))
        found[0] = _with_notes(found[0], notes)
    return tuple(found)


def _rest(rate: Rate, parts: Sequence[Part]) -> Rate:
    """Return what the parts leave of the growth of a signal."""
    return part_of(
        rate, rate.per_call - sum(part.verdict.rate_of(rate.signal) for part in parts)
    )


def _is_in_steps(rest: Rate, verdict: Verdict) -> bool:
    """Return whether only some rounds show what is left: a table that grows from time to time.

    Args:
        rest: what the parts leave of the growth of a signal.
        verdict: leaking, with its rounds.
    """
    if rest.signal not in BYTE_SIGNALS or not verdict.rounds:
        return False
    pairs = pairs_of(latest(verdict.rounds), rest.signal)
    known = verdict.rate_of(rest.signal) - rest.per_call
    return known >= _EXPLAINED * median(moved / calls for calls, moved in pairs)


def _unknown(rates: Sequence[Rate], verdict: Verdict) -> list[str]:
    """Return the note on memory that no part has, if there is some: the most of one signal."""
    rest = max(rates, key=lambda rate: rate.per_call, default=None)
    if rest is None:
        return []
    numbers = (format_number(n) for n in (rest.per_call, verdict.rate_of(rest.signal)))
    return [_IN_NO_LEAK.format(name_of(rest.signal), *numbers)]


def _with_notes(part: Part, notes: Sequence[str]) -> Part:
    diagnosis = replace(part.diagnosis, notes=(*part.diagnosis.notes, *notes))
    return replace(part, diagnosis=diagnosis)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Return the parts; parts with the same fingerprint are one leak."""
    found: dict[str, Part] = {}
    for number, part in enumerate(parts):
        name = part.diagnosis.fingerprint or str(number)
        known = found.get(name)
        found[name] = part if known is None else _as_one(known, part)
    return list(found.values())


def _added(first: Verdict, second: Verdict) -> Verdict:
    """Return the first verdict with the rates of both."""
    rates = {rate.signal: rate for rate in first.rates}
    for rate in second.rates:
        known = rates.get(rate.signal)
        rates[rate.signal] = (
            rate
            if known is None
            else replace(
                rate,
                per_call=known.per_call + rate.per_call,
                low=known.low + rate.low,
                high=known.high + rate.high,
            )
        )
    return replace(first, rates=tuple(rates.values()))


def _as_one(first: Part, second: Part) -> Part:
    lines = {(line.file, line.line, line.function): line for line in first.diagnosis.lines}
    for line in second.diagnosis.lines:
        same = lines.get((line.file, line.line, line.function))
        lines[line.file, line.line, line.function] = (
            line
            if same is None
            else replace(same, count=same.count + line.count, size=same.size + line.size)
        )
    types = (*first.diagnosis.types, *second.diagnosis.types)
    diagnosis = replace(first.diagnosis, lines=tuple(lines.values()), types=types)
    verdict = _added(first.verdict, second.verdict)
    return replace(first, verdict=verdict, diagnosis=diagnosis)


def _is_known(part: Part, causes: Sequence[Cause]) -> bool:
    """Return whether memory was seen to grow only at lines of known causes, or nowhere."""
    known = {line_of_shared(piece.stack)[:2] for cause in causes for piece in cause.pieces}
    return all((line.file, line.line) in known for line in part.diagnosis.lines[:1])


def _add(parts: list[Part], new: Part) -> None:
    """Add a part that was watched, to the part with the same line if there is one."""
    places = {(line.file, line.line) for line in new.diagnosis.lines[:1]}
    for index, part in enumerate(parts):
        lines = part.diagnosis.lines
        if places & {(line.file, line.line) for line in lines}:
            verdict = _added(part.verdict, new.verdict)
            share = part.diagnosis.calls / max(1, new.diagnosis.calls)
            diagnosis = replace(
                part.diagnosis, lines=with_left(lines, new.diagnosis.lines, share)
            )
            parts[index] = replace(part, verdict=verdict, diagnosis=diagnosis)
            return
    parts.append(new)


def _as_counted(causes: Sequence[Cause], verdict: Verdict) -> list[Cause]:
    """Return the causes, without blocks of Python's if the interpreter counts none that stays.

    Those are of `PyMem_RawMalloc`, which memray does not distinguish: C code keeps them.
    """
    if verdict.rate_of("blocks") > 0:
        return list(causes)
    return [replace(one, per_call={**one.per_call, "blocks": 0.0}) for one in causes]


def _with_lost(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes; what nothing holds is joined to others from the same lines.

    Small blocks may be parts of an object that is lost. C memory beside a held or a lost object
    is what C code keeps of it.
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


def _within(causes: Sequence[Cause], verdict: Verdict) -> list[Cause]:
    """Return the causes that are not more than what grows; holders that grow come first.

    Blocks without a holder may have replaced others, as in a list that is renewed. So may those
    of a holder that does not grow: each call may put a copy in its place. Blocks that pytest's
    own lines have left come last: they count only if the others do not explain half of what
    grows.
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


def _with_memory_of_threads(causes: Sequence[Cause], verdict: Verdict) -> list[Cause]:
    """Return the causes; what the C heap grew by beside their blocks is memory of threads.

    The C library and the dynamic linker allocate for each new thread what no tool sees.
    """
    several = list(causes)
    index = next((i for i, one in enumerate(several) if "Python threads" in one.per_call), None)
    rest = verdict.rate_of("C heap") - sum(one.per_call.get("C heap", 0.0) for one in several)
    if index is not None and rest > 0:
        known = several[index].per_call
        more = {**known, "C heap": known.get("C heap", 0.0) + rest}
        several[index] = replace(several[index], per_call=more)
    return several


def _has_resources(verdict: Verdict) -> bool:
    return any(rate.signal not in MEMORY_SIGNALS for rate in verdict.rates)


def origins_of(
    causes: Sequence[Cause], call: Callable[[], None], collect: Callable[[], None]
) -> list[list[Origin]]:
    """Return where the contents of containers were made, from as many more calls.

    Args:
        causes: the holders of the contents.
        call: makes one call.
        collect: collects garbage, if it is to be collected.

    Raises:
        CallFailed: if a call failed.
    """
    none: list[list[Origin]] = [[] for _ in causes]
    if tracemalloc.is_tracing() or all(
        cause.holding.growing_container is None for cause in causes
    ):
        return none
    containers = [cause.holding.growing_container for cause in causes]
    gc.freeze()
    origins = Origins(frames)
    try:
        before, after = (
            _made_by(call, times, collect, origins, containers)
            for times in (max(1, causes[0].calls // _BEFORE), causes[0].calls)
        )
    finally:
        origins.stop()
    made = list(map(without_replaced, before, after))
    made = [
        without_moved(one, cause.calls) if is_value(container) else one
        for one, container, cause in zip(made, containers, causes, strict=True)
    ]
    functions = Functions()
    return [
        with_functions(one, lambda stack: with_function(stack, functions.name)) for one in made
    ]


def _made_by(
    call: Callable[[], None],
    times: int,
    collect: Callable[[], None],
    origins: Origins,
    containers: Sequence[object],
) -> list[list[Origin]]:
    for _ in range(times):
        call()
    collect()
    return on_short_stack(partial(origins.of, containers, stack_frames()))


def _part(cause: Cause, verdict: Verdict, made: Sequence[Origin]) -> Part:
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


def _size_of(verdict: Verdict) -> tuple[float, float]:
    return verdict.rate_of("blocks"), verdict.rate_of("C heap")


def _is_left(rate: Rate, causes: Sequence[Cause]) -> bool:
    """Return whether a signal grows by more than the causes explain."""
    known = sum(cause.per_call.get(rate.signal, 0.0) for cause in causes)
    if rate.signal not in MEMORY_SIGNALS:
        return known < _EXPLAINED * rate.per_call
    if rate.signal == "C heap":
        if any(cause.is_population for cause in causes):
            return False  # their tables: of some of them, since not all were examined
        known += sum(map(_table_growth, causes))
    # blocks that were found are all there is of Python's
    return rate.signal != "blocks" and known < _EXPLAINED * rate.per_call


def _table_growth(cause: Cause) -> float:
    """Return bytes per call of the tables of all holders, if none grew in the few calls."""
    holding = cause.holding
    length = length_of(holding.growing_container)
    if not length or cause.per_call.get("C heap", 0.0) > 0:
        return 0.0
    tables = [table for one in holding.containers for table in raw.tables(one)]
    return sum(map(raw.own_size, tables)) / length * holding.gained / cause.calls


def _gauge_of(signal: Signal) -> Gauge | None:
    if signal != "C heap":
        return gauge_of(signal)
    used = heap_used()
    return None if used is None else Level(signal, used)


def _watched(verdict: Verdict, call: Callable[[], None], collect: Callable[[], None]) -> Part:
    """Return growth that no block explains, with the lines after which it appeared."""
    gauge = _gauge_of(verdict.rates[0].signal)
    lines: tuple[LeakLine, ...] = ()
    made = 0
    if gauge is not None:
        watch = Watch([gauge])
        while made < _WATCHED_CALLS and not watch.is_over:
            watch.during(call)
            made += 1
        collect()
        lines = with_watched((), [gauge], 1.0)
        left = sum(amount for line in lines for _, amount in line.left)
        if left > _FAR_TOO_MUCH * made * verdict.rates[0].per_call:
            lines = ()  # what a few calls need for once hides what each of them keeps
    diagnosis = named(Diagnosis(calls=made, lines=lines))
    return Part(verdict=verdict, diagnosis=diagnosis, growing_container=None)
