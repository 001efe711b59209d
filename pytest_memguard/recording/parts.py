"""Divides the leak of a callable into several, each with its own numbers, lines and holder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_memguard.attribution.watching import (
    with_left,
)
from pytest_memguard.judge.rounds import FLOORS
from pytest_memguard.model.leaks import (
    MEMORY_SIGNALS,
    Verdict,
)
from pytest_memguard.recording.c_memory_parts import with_c_memory_divided
from pytest_memguard.recording.joined_causes import (
    as_counted,
    with_lost_joined,
    with_memory_of_threads,
    within_growth,
)
from pytest_memguard.recording.made_contents import origins_of
from pytest_memguard.recording.part import Part, part_from
from pytest_memguard.recording.populations import without_populations
from pytest_memguard.recording.shares import shares_of
from pytest_memguard.recording.unexplained import (
    is_in_steps,
    is_known,
    is_left,
    notes_on_rests,
    rest_of,
    watched_part,
)

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause


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
        with_lost_joined(with_c_memory_divided(as_counted(causes, verdict)))
    )
    causes = within_growth(causes, verdict) or causes
    causes = with_memory_of_threads(causes, verdict)
    shares = shares_of(causes, verdict)
    chosen = [
        (cause, rates) for cause, rates in zip(causes, shares.rates, strict=True) if rates
    ]
    found = []
    if len(chosen) > 1 or (chosen and (excluded or _has_resources(verdict))):
        origins = origins_of([cause for cause, _ in chosen], call, collect)
        for (cause, rates), made in zip(chosen, origins, strict=True):
            found.append(part_from(cause, replace(verdict, rates=rates), made))
    else:
        found += [
            part_from(cause, replace(verdict, rates=rates), []) for cause, rates in chosen
        ]
    found.sort(key=lambda part: _size_of(part.verdict), reverse=True)
    rests = [rest_of(rate, found) for rate in verdict.rates if is_left(rate, causes)]
    left = [rate for rate in rests if rate.per_call > FLOORS[rate.signal]]
    signals = {rate.signal for rate in left}
    if "Python threads" in signals:
        left = [rate for rate in left if rate.signal != "native threads"]
    known = [cause for cause in (*causes, *excluded) if cause.pieces]
    unknown = []
    for rate in left:
        if any(part.verdict.rate_of(rate.signal) for part in found) and is_in_steps(
            rate, verdict
        ):
            unknown.append(rate)
            continue
        part = watched_part(replace(verdict, rates=(rate,)), call, collect)
        if rate.signal not in MEMORY_SIGNALS or (not found and not excluded):
            _add(found, part)
        elif not is_known(part, known):
            found.append(part)
        else:
            unknown.append(rate)
    found = _joined(found)
    if len(found) > 1 or (found and excluded):
        notes = (*shares.notes, *notes_on_rests(unknown, verdict))
        found[0] = _with_notes(found[0], notes)
    return tuple(found)


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


def _has_resources(verdict: Verdict) -> bool:
    return any(rate.signal not in MEMORY_SIGNALS for rate in verdict.rates)


def _size_of(verdict: Verdict) -> tuple[float, float]:
    return verdict.rate_of("blocks"), verdict.rate_of("C heap")
