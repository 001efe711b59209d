"""Looks for the cause of what trackers and the garbage collector do not show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pytest_memguard.attribution.growth import GrowthFound
from pytest_memguard.attribution.inside import grown_inside
from pytest_memguard.attribution.values import length_of
from pytest_memguard.attribution.watching import Fill, Gauge, Watch, gauge_of, with_watched
from pytest_memguard.model.leak_sizes import may_be_python_memory
from pytest_memguard.model.leaks import Diagnosis, Verdict
from pytest_memguard.recording.calls import CallFailed, OutOfTime

_CALLS: Final = 6
_CALLS_IF_SPARSE: Final = 24
_LEAST_CALLS: Final = 2
_SECONDS: Final = 2.5
"""The most seconds of calls for each of the two searches."""
_SLOWER: Final = 20
"""How many times as long a call may take while its lines are watched."""
_INSIDE_SECONDS: Final = 1.0


def searched_further(
    call: Callable[[], None],
    diagnosis: Diagnosis,
    found: GrowthFound,
    verdict: Verdict,
    *,
    sparse: bool,
    seconds: float,
) -> tuple[Diagnosis, GrowthFound]:
    """Return the cause and what was found, completed if something is missing.

    Args:
        call: makes one call.
        diagnosis: the cause so far.
        found: what was found so far.
        verdict: how the signals grow.
        sparse: whether not every call leaks.
        seconds: the duration of a call.
    """
    most = _CALLS_IF_SPARSE if sparse else _CALLS
    in_time = _SECONDS / max(seconds, 1e-9)
    try:
        signals = [rate.signal for rate in verdict.rates]
        no_holder = diagnosis.path is None and not diagnosis.types
        if no_holder and may_be_python_memory(diagnosis, signals) and in_time >= 2 * most:
            diagnosis, found = _grown_inside(call, most, diagnosis, found)
        watched = max(_LEAST_CALLS, min(most, int(in_time / _SLOWER)))
        return _watched(call, watched, diagnosis, _gauges(diagnosis, found, verdict)), found
    except OutOfTime:
        return diagnosis, found
    except CallFailed as failed:
        note = f"a call that was looked at more closely failed: {failed}"
        return replace(diagnosis, notes=(*diagnosis.notes, note)), found


def _grown_inside(
    call: Callable[[], None], calls: int, diagnosis: Diagnosis, found: GrowthFound
) -> tuple[Diagnosis, GrowthFound]:
    """Return what grows inside an object, if anything does."""
    inside = grown_inside(call, calls, _INSIDE_SECONDS)
    if inside is None:
        return diagnosis, found
    path, value, gained = inside
    gained = round(gained * diagnosis.calls / calls)
    return replace(diagnosis, path=path), replace(
        found, path=path, growing_container=value, gained=gained
    )


def _gauges(diagnosis: Diagnosis, found: GrowthFound, verdict: Verdict) -> list[Gauge]:
    """Return what to watch: what allocations do not show."""
    signals = [rate.signal for rate in verdict.rates]
    if "Python threads" in signals and "native threads" in signals:
        signals.remove("native threads")
    gauges = [gauge for gauge in map(gauge_of, signals) if gauge is not None]
    if not diagnosis.lines and diagnosis.path is not None and found.gained > 0:
        gauges.append(Fill(diagnosis.path.holder, lambda: length_of(found.growing_container)))
    return gauges


def _watched(
    call: Callable[[], None], calls: int, diagnosis: Diagnosis, gauges: list[Gauge]
) -> Diagnosis:
    """Return the cause with the lines that opened, started or added what stays."""
    if not gauges:
        return diagnosis
    watch = Watch(gauges)
    made = 0
    while made < calls and not watch.is_over:
        watch.during(call)
        made += 1
    return replace(
        diagnosis, lines=with_watched(diagnosis.lines, gauges, diagnosis.calls / made)
    )
