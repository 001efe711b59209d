"""How far apart readings of the same code may be: noise is not a change."""

from __future__ import annotations

from typing import Final

from pytest_memguard.judge.imports import noise_of_imports
from pytest_memguard.model.baselines import BaselineEntry, FailRule
from pytest_memguard.model.metrics import RSS, metric_named
from pytest_memguard.options.rules import DEFAULT
from pytest_memguard.sizes import KIB, MIB

READINGS: Final = 5
"""An entry rests on at most so many readings; then it no longer changes by noise."""

# Expected range of n normally distributed values, in standard deviations: the constant d2 of
# control charts (W. A. Shewhart, 1931). A chart of single values calls more than three
# deviations from the centre a change; the highest of n readings lies half a range above it.
_RANGE: Final = {2: 1.128, 3: 1.693, 4: 2.059, READINGS: 2.326}
_DEVIATIONS: Final = 3.0

# A single reading has no range, so noise is assumed: a share of the peak, and a minimum in
# bytes. Resident memory comes in pages, which the kernel adds up in batches; trackers count
# bytes exactly; and numbers of things do not vary.
_ASSUMED_SHARE: Final = 0.05
_ASSUMED_EXACT: Final = (0.01, 64 * KIB)
_LEAST_SHARE: Final = DEFAULT.share
"""What a rule in bytes allows in a metric that does not count bytes."""

# Three arenas of CPython 3.10 and later: the largest growth measured of tests that left nothing
# behind, in a heap with 20 MiB of slack.
_ARENAS: Final = 3 * MIB


def noise(entry: BaselineEntry, metric: str) -> int:
    """Return by how much another reading of the same code may exceed the highest so far.

    Args:
        entry: the entry, with its number of readings and their spread.
        metric: the metric of the entry.
    """
    if entry.readings < 2:
        of_imports = noise_of_imports(entry.imports) if metric_named(metric).is_memory else 0
        return assumed(max(entry.peak, entry.ceiling), metric) + of_imports
    factor = _DEVIATIONS / _RANGE[min(entry.readings, READINGS)] - 0.5
    return max(int(factor * entry.spread), metric_named(metric).resolution)


def noise_of_growth(entry: BaselineEntry) -> int:
    """Return the same for what a test leaves behind.

    A single object that stays may keep an arena of the interpreter alive, and filling slack for
    a measurement may make free memory resident that was never touched before.

    Args:
        entry: the entry, with its number of readings and their spread.
    """
    return max(noise(entry, RSS.name), _ARENAS)


def assumed(value: int, metric: str) -> int:
    """Return the noise to assume if there is only one reading.

    Args:
        value: the reading.
        metric: its metric.
    """
    known = metric_named(metric)
    if known.resolution:
        return max(int(_ASSUMED_SHARE * value), 2 * known.resolution)
    share, least = _ASSUMED_EXACT
    return max(int(share * value), least) if known.is_memory else 0


def margin(rule: FailRule, value: int, metric: str = RSS.name) -> int:
    """Return by how much a rule lets a number exceed a value: the larger of share and floor.

    Args:
        rule: the rule; its floor is in bytes and applies only to metrics that count bytes.
        value: the baseline value.
        metric: its metric.
    """
    if metric_named(metric).is_memory:
        return max(int(rule.share * value), rule.floor)
    return int((rule.share or _LEAST_SHARE) * value)


def allowed(entry: BaselineEntry, rule: FailRule, metric: str = RSS.name) -> int:
    """Return the highest peak that a rule and noise allow.

    Args:
        entry: the entry; if its peak is not exact, the upper bound counts.
        rule: how much more is too much.
        metric: the metric of the entry.
    """
    was = max(entry.peak, entry.ceiling)
    return was + max(margin(rule, was, metric), noise(entry, metric))
