"""Converts the results of leak checks to plain JSON and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from pytest_memguard.formats import Json, present_state
from pytest_memguard.leaks import (
    Diagnosis,
    Kept,
    LeakLine,
    LeakReading,
    Rate,
    RetentionPath,
    Round,
    TypeGrowth,
    Verdict,
)

_NOT_STORED: Final = ("typical", "through_ffi")
"""Fields of a line that only the fingerprint depends on."""


def verdict_to_json(verdict: Verdict) -> Json:
    """Return a leak check's verdict as plain JSON."""
    return {
        "state": verdict.state,
        "calls": verdict.calls,
        "reason": verdict.reason,
        "rates": [asdict(rate) for rate in verdict.rates],
        "rounds": [
            {"calls": a_round.calls, "growth": dict(a_round.growth)}
            for a_round in verdict.rounds
        ],
    }


def verdict_from_json(data: Json) -> Verdict:
    """Return a leak check's verdict from its plain form."""
    return Verdict(
        state=present_state(data["state"]),
        calls=data["calls"],
        reason=data["reason"],
        rates=tuple(Rate(**rate) for rate in data["rates"]),
        rounds=tuple(
            Round(calls=a_round["calls"], growth=tuple(a_round["growth"].items()))
            for a_round in data["rounds"]
        ),
    )


def diagnosis_to_json(diagnosis: Diagnosis, *, stored: bool = True) -> Json:
    """Return what causes a leak as plain JSON.

    Args:
        diagnosis: the cause.
        stored: whether to leave out what only the fingerprint depends on, which is known.
    """
    return {
        "calls": diagnosis.calls,
        "lines": [_line_to_json(line, stored=stored) for line in diagnosis.lines],
        "types": [asdict(growth) for growth in diagnosis.types],
        "path": None if diagnosis.path is None else asdict(diagnosis.path),
        "notes": list(diagnosis.notes),
        "fingerprint": diagnosis.fingerprint,
        "former_fingerprint": diagnosis.earlier_fingerprint,
        "bytes_per_call": diagnosis.per_call,
    }


def _line_to_json(line: LeakLine, *, stored: bool) -> Json:
    data = asdict(line) | {"left": dict(line.left)}
    return {key: value for key, value in data.items() if key not in _NOT_STORED or not stored}


def diagnosis_from_json(data: Json) -> Diagnosis:
    """Return what causes a leak from its plain form."""
    path = data["path"]
    return Diagnosis(
        calls=data["calls"],
        lines=tuple(
            LeakLine(
                **{
                    **line,
                    "native": tuple(line["native"]),
                    "left": tuple(line.get("left", {}).items()),
                }
            )
            for line in data["lines"]
        ),
        types=tuple(TypeGrowth(**growth) for growth in data["types"]),
        path=None if path is None else RetentionPath(**{**path, "steps": tuple(path["steps"])}),
        notes=tuple(data["notes"]),
        fingerprint=data["fingerprint"],
        earlier_fingerprint=data.get("former_fingerprint", ""),
        per_call=data.get("bytes_per_call"),
    )


def leak_to_json(leak: LeakReading) -> Json:
    """Return the result of a leak check as plain JSON."""
    return {
        "verdict": verdict_to_json(leak.verdict),
        "blame": None if leak.diagnosis is None else diagnosis_to_json(leak.diagnosis),
        "accepted": leak.accepted,
        "calls": leak.calls,
        "seconds": leak.seconds,
        "kept": [asdict(kept) | {"rates": dict(kept.rates)} for kept in leak.kept],
        "more": [leak_to_json(part) for part in leak.more],
    }


def leak_from_json(data: Json) -> LeakReading:
    """Return the result of a leak check from its plain form."""
    return LeakReading(
        verdict=verdict_from_json(data["verdict"]),
        diagnosis=None if data["blame"] is None else diagnosis_from_json(data["blame"]),
        accepted=data["accepted"],
        calls=data["calls"],
        seconds=data["seconds"],
        kept=tuple(
            Kept(**{**kept, "rates": tuple(kept["rates"].items())})
            for kept in data.get("kept", ())
        ),
        more=tuple(leak_from_json(part) for part in data.get("more", ())),
    )
