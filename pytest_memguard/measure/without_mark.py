"""Chooses the meter of peak RSS if the kernel has no mark that can be reset."""

from __future__ import annotations

from collections.abc import Callable

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.measure.sampler import SampledResident
from pytest_memguard.measure.unread import UnreadResident
from pytest_memguard.probes import Meter
from pytest_memguard.probes.lifetime_peak import lifetime_peak_reader
from pytest_memguard.probes.resident import resident_reader


def meter_without_mark() -> tuple[Meter, str]:
    """Return a meter of resident memory, and a sentence about what it misses.

    It samples the level. If the level cannot be read, the meter's `lost` says why, and only the
    lifetime peak bounds a peak.
    """
    try:
        level = resident_reader()
    except Unmeasurable as error:
        lifetime, problem = _lifetime(None)
        how = "only the process's lifetime high-water mark is known"
        if problem:
            how = f"and nothing bounds it: {problem}"
        return UnreadResident(str(error), lifetime), f"{error}; {how}"
    lifetime, problem = _lifetime(level)
    unless = "unless the process's lifetime high-water mark shows them"
    if problem:
        unless = f"and nothing bounds them: {problem}"
    return SampledResident(level, lifetime), (
        f"resident memory is sampled every {SampledResident.interval_ms()} ms instead, so "
        f"short peaks may be missed, {unless}"
    )


def _lifetime(level: Callable[[], int] | None) -> tuple[Callable[[], int] | None, str]:
    try:
        return lifetime_peak_reader(level), ""
    except Unmeasurable as error:
        return None, str(error)
