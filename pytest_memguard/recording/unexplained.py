"""What the causes of a leak leave unexplained, and the lines after which it appears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.leak_lines import (
    line_of_shared,
)
from pytest_memguard.attribution.values import length_of
from pytest_memguard.attribution.watching import (
    Gauge,
    Level,
    Watch,
    gauge_of,
    with_watched,
)
from pytest_memguard.judge.rounds import latest, pairs_of
from pytest_memguard.model.leaks import (
    BYTE_SIGNALS,
    MEMORY_SIGNALS,
    Diagnosis,
    LeakLine,
    Rate,
    Signal,
    Verdict,
)
from pytest_memguard.probes.signal_readers import heap_used
from pytest_memguard.probes.thread_cache import thread_cache
from pytest_memguard.recording.diagnosis import named
from pytest_memguard.recording.part import Part
from pytest_memguard.recording.shares import name_of, part_of
from pytest_memguard.sizes import format_number

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause


_EXPLAINED: Final = 0.75
"""The holders found explain a signal if they keep this share of its growth."""
_WATCHED_CALLS: Final = 6
_IN_NO_LEAK: Final = (
    "{1} of the {2} bytes per call by which {0} grows are in none of these leaks: they were "
    "not seen at a line of their own"
)
_FAR_TOO_MUCH: Final = 10
"""Growth seen in a few calls is ignored if it is more than so many times the growth per
call."""


def rest_of(rate: Rate, parts: Sequence[Part]) -> Rate:
    """Return what the parts leave of the growth of a signal.

    Args:
        rate: the whole growth.
        parts: the leaks that were found.
    """
    return part_of(
        rate, rate.per_call - sum(part.verdict.rate_of(rate.signal) for part in parts)
    )


def is_in_steps(rest: Rate, verdict: Verdict) -> bool:
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


def notes_on_rests(rates: Sequence[Rate], verdict: Verdict) -> list[str]:
    """Return the note on memory that no part has, if there is some: the most of one signal.

    Args:
        rates: what the parts leave of each signal.
        verdict: leaking, with the whole growth.
    """
    rest = max(rates, key=lambda rate: rate.per_call, default=None)
    if rest is None:
        return []
    numbers = (format_number(n) for n in (rest.per_call, verdict.rate_of(rest.signal)))
    return [_IN_NO_LEAK.format(name_of(rest.signal), *numbers)]


def is_known(part: Part, causes: Sequence[Cause]) -> bool:
    """Return whether memory was seen to grow only at lines of known causes, or nowhere.

    Args:
        part: growth that was watched.
        causes: the known causes.
    """
    known = {line_of_shared(piece.stack)[:2] for cause in causes for piece in cause.pieces}
    return all((line.file, line.line) in known for line in part.diagnosis.lines[:1])


def is_left(rate: Rate, causes: Sequence[Cause]) -> bool:
    """Return whether a signal grows by more than the causes explain.

    Args:
        rate: how fast it grows.
        causes: everything that keeps something.
    """
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
    cache = thread_cache()  # what a line takes from it counted as in use before
    used = heap_used(cache.size if cache is not None else int)
    return None if used is None else Level(signal, used)


def watched_part(
    verdict: Verdict, call: Callable[[], None], collect: Callable[[], None]
) -> Part:
    """Return growth that no block explains, with the lines after which it appeared.

    Args:
        verdict: leaking, with one rate.
        call: makes one call.
        collect: collects garbage, if it is to be collected.

    Raises:
        CallFailed: if a call failed.
    """
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
