"""How far apart two readings of the same code may lie: what noise explains is no change."""

from __future__ import annotations

from typing import Final

from pytest_memguard.baselines import BaselineEntry, FailRule
from pytest_memguard.metrics import RSS, metric_named
from pytest_memguard.rules import DEFAULT
from pytest_memguard.sizes import KIB, MIB

READINGS: Final = 5
"""Readings that an entry rests on at most; from then on it keeps still."""

# Expected range of n values that are normally distributed, in standard deviations: the d2 of
# control charts. A chart of single values calls more than three deviations from the middle a
# change; the highest of n readings lies half a range above the middle.
_RANGE: Final = {2: 1.128, 3: 1.693, 4: 2.059, READINGS: 2.326}
_DEVIATIONS: Final = 3.0

# One reading has no range. What it is taken for instead: a share of the peak, and bytes at
# least. Resident memory comes in pages, and the kernel adds them up in batches; trackers count
# to the byte, and what is counted one by one is the same again.
_ASSUMED_SHARE: Final = 0.05
_ASSUMED_EXACT: Final = (0.01, 64 * KIB)
_LEAST_SHARE: Final = DEFAULT.share
"""What a rule in bytes lets pass of a metric that counts something else."""

# Three arenas (of CPython 3.10 and later): the most by which tests that left nothing behind
# were measured to grow, in a heap with 20 MiB of free places.
_ARENAS: Final = 3 * MIB

# What imports may take: measured are up to 3.7 MiB for one module (_hashlib, with the library
# it loads), 0.1 MiB a module where there are many. Native libraries take more.
_FIRST_IMPORT: Final = 16 * MIB
_NEXT_IMPORT: Final = MIB // 2

# How much of a library's files is resident when it is imported depends on what the system has
# in its cache: 4.1 MiB more or less were measured for numpy's 84 modules.
_PER_IMPORT: Final = 48 * KIB


def noise(entry: BaselineEntry, metric: str) -> int:
    """Bytes above its highest reading that another reading of the same code may have.

    Args:
        entry: with its readings and their spread.
        metric: what was counted.
    """
    if entry.readings < 2:
        of_imports = entry.imports * _PER_IMPORT if metric_named(metric).is_memory else 0
        return assumed(max(entry.peak, entry.ceiling), metric) + of_imports
    factor = _DEVIATIONS / _RANGE[min(entry.readings, READINGS)] - 0.5
    return max(int(factor * entry.spread), metric_named(metric).resolution)


def noise_of_growth(entry: BaselineEntry) -> int:
    """Likewise for what a test leaves behind.

    One object that stays may hold an arena of the interpreter, and free places that nobody
    had touched become resident when they are filled for a measurement.

    Args:
        entry: with its readings and their spread.
    """
    return max(noise(entry, RSS.name), _ARENAS)


def assumed(value: int, metric: str) -> int:
    """Bytes of noise where nothing is known but one reading.

    Args:
        value: of that reading.
        metric: what was counted.
    """
    known = metric_named(metric)
    if known.resolution:
        return max(int(_ASSUMED_SHARE * value), 2 * known.resolution)
    share, least = _ASSUMED_EXACT
    return max(int(share * value), least) if known.is_memory else 0


def margin(rule: FailRule, value: int, metric: str = RSS.name) -> int:
    """What a rule lets pass above a value: share and floor must both be exceeded.

    Args:
        rule: with a floor in bytes, which says nothing of what is not counted in bytes.
        value: on record.
        metric: what was counted.
    """
    if metric_named(metric).is_memory:
        return max(int(rule.share * value), rule.floor)
    return int((rule.share or _LEAST_SHARE) * value)


def allowed(entry: BaselineEntry, rule: FailRule, metric: str = RSS.name) -> int:
    """Bytes up to which a new reading of the peak passes.

    Args:
        entry: what was; where its peak is not exact, it may have been as high as its ceiling.
        rule: how much worse is too much.
        metric: what was counted.
    """
    was = max(entry.peak, entry.ceiling)
    return was + max(margin(rule, was, metric), noise(entry, metric))


def imports_may_explain(before: BaselineEntry, now: BaselineEntry, growth: int) -> bool:
    """Whether modules that were not imported before may account for a growth.

    The first test of a process that needs a library pays for its import; which one that is
    depends on the order, on the workers and on the shards.

    Args:
        before: the entry on record.
        now: the new reading.
        growth: bytes between them.
    """
    more = now.imports - before.imports
    return more > 0 and growth <= _FIRST_IMPORT + more * _NEXT_IMPORT
