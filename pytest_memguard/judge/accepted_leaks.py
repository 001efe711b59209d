"""Decides which leaks do not fail a test: small, ignored by a pattern, or accepted before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from pytest_memguard.model.leak_sizes import bytes_per_call
from pytest_memguard.model.leaks import (
    MEMORY_SIGNALS,
    Diagnosis,
    KnownLeak,
    LeakReading,
    ignored_by,
    without_keys,
)
from pytest_memguard.sizes import format_size


def with_acceptance(
    reading: LeakReading,
    *,
    tolerance: int,
    marker: Sequence[str],
    ini: Sequence[str],
    known: Mapping[str, KnownLeak],
    otherwise: str = "",
    nodeid: str = "",
) -> LeakReading:
    """Return a reading in which each leak that does not fail the test has the reason for that.

    Args:
        reading: of a leaking test.
        tolerance: bytes that a call may leave behind in all leaks together.
        marker: patterns of the test's marker.
        ini: patterns of ``mem_leak_ignore``.
        known: leaks accepted before, by fingerprint.
        otherwise: the reason for accepting any other leak that has a fingerprint; usually
            empty.
        nodeid: the test.
    """
    sizes = [bytes_per_call(part) or 0.0 for part in reading.parts if _is_memory(part)]
    tolerated = tolerance if sum(sizes) <= tolerance else 0

    def reason(part: LeakReading) -> str:
        named = part.diagnosis is not None and part.diagnosis.fingerprint
        return (
            within_tolerance(part, tolerated)
            or accepted_by(part, marker, ini, known, nodeid)
            or (otherwise if named else "")
        )

    more = tuple(replace(part, accepted=reason(part)) for part in reading.more)
    return replace(reading, accepted=reason(reading), more=more)


def _is_memory(reading: LeakReading) -> bool:
    return all(rate.signal in MEMORY_SIGNALS for rate in reading.verdict.rates)


def within_tolerance(reading: LeakReading, tolerance: int) -> str:
    """Return the reason why a leak is small enough; empty if it is not.

    Args:
        reading: of a leaking test.
        tolerance: bytes that a call may leave behind.
    """
    size = bytes_per_call(reading)
    if not tolerance or size is None or size > tolerance:
        return ""
    if not _is_memory(reading):
        return ""
    return f"{format_size(size)} per call is within the tolerance of {format_size(tolerance)}"


def accepted_by(
    reading: LeakReading,
    marker: Sequence[str],
    ini: Sequence[str],
    known: Mapping[str, KnownLeak],
    nodeid: str = "",
) -> str:
    """Return the reason why a leak is accepted; empty if it is not.

    An earlier version may have given the same fingerprint to several leaks. So a leak accepted
    under its earlier fingerprint is accepted only in the tests that showed it then.

    Args:
        reading: of a leaking test.
        marker: patterns of the test's marker.
        ini: patterns of ``mem_leak_ignore``.
        known: leaks accepted before, by fingerprint.
        nodeid: the test.
    """
    diagnosis = reading.diagnosis
    if diagnosis is None:
        return ""
    for patterns, where in ((marker, "the marker's ignore"), (ini, "mem_leak_ignore")):
        for pattern in patterns:
            if matches(pattern, diagnosis):
                return ignored_by(where, pattern)
    if diagnosis.fingerprint and diagnosis.fingerprint in known:
        return f"known leak {diagnosis.fingerprint} (.memguard/leaks.json)"
    if (
        diagnosis.earlier_fingerprint in known
        and nodeid in known[diagnosis.earlier_fingerprint].tests
    ):
        return (
            f"known leak {diagnosis.earlier_fingerprint} (.memguard/leaks.json), "
            f"which is called {diagnosis.fingerprint} now"
        )
    return ""


def matches(pattern: str, diagnosis: Diagnosis) -> bool:
    """Return whether a pattern matches the function, file, module, type or holder of a leak.

    Only the line that allocates most and the type that grows most are compared.
    """
    names: list[str] = []
    if diagnosis.lines:
        line = diagnosis.lines[0]
        path = PurePosixPath(line.file.replace("\\", "/"))
        names += [line.function, str(path), path.name]
        parts = path.with_suffix("").parts
        names += [".".join(parts[start:]) for start in range(len(parts))]
    names += [growth.type for growth in diagnosis.types[:1]]
    if diagnosis.path is not None:
        holder = without_keys(diagnosis.path.holder)
        container = holder.partition(", thread ")[0]
        names += [diagnosis.path.holder, holder, container, container.rpartition(".")[0]]
    return any(fnmatchcase(name, pattern) for name in names if name)
