"""Separates what a test uses each time from what the first call in a process fills for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import chain
from typing import Final

from pytest_memguard.judge.imports import may_be_imports, new_libraries
from pytest_memguard.judge.noise import assumed, margin
from pytest_memguard.judge.slack_thresholds import NEGLIGIBLE_SLACK
from pytest_memguard.model.baselines import BaselineEntry, BaselineValue, FailRule, Fill
from pytest_memguard.model.measurements import Budget, Peak
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.sizes import MIB
from pytest_memguard.values import dataclass

NOTABLE: Final = 2 * MIB
"""Bytes of a peak from which on a test is measured cold when it is saved: less is no regression
by the default rule."""


class Against(Enum):
    """What two calls in a fresh process say against a test that exceeded its limit."""

    NOTHING = "within the limit there"
    RECORD_IS_A_BOUND = "it is above the baseline value, whose upper bound lets it pass"
    USE_GREW = "the second call exceeds the limit as well"
    AS_IN_OTHERS = (
        "the first call exceeds the limit by as much as other tests, whose cause is known"
    )
    FILL_GREW = "the first call fills more than it did"
    FILL_IS_NEW = "the first call fills what the baseline does not know"
    FILL_IS_KNOWN = "the first call fills what is on record"
    FILL_IS_SMALL = "the first call fills too little of anything to be on record"
    FILL_IS_REPORTED = "the first call fills more, for which an earlier test has failed"
    IMPORT_IS_NEW = "the first call imports a library that no test on record can have imported"
    FILL_MAY_BE_IMPORTS = "the first call imports modules that it found imported"
    FILL_MAY_BE_KNOWN = "the baseline does not say what was filled"
    FILL_MAY_BE_SHARED = "the baseline does not say what several tests filled together"
    TOO_CLOSE = "the upper bound is above the limit"
    NOT_REPEATABLE = "it could not be called a second time"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoCalls:
    """Peaks of two calls of a test in a process in which no other test has run."""

    cold: Peak
    """Of the first call."""
    warm: Peak | None
    """Of the second one; ``None`` if it did not pass, or the first one was enough."""
    is_enough: bool = False
    """Whether the first one was enough."""
    fills: tuple[Fill, ...] = ()
    """What holds that which the first has left for the second."""
    imports: int = 0
    """Number of modules that the first has imported for the first time."""
    libraries: tuple[str, ...] = ()
    """The libraries of these modules, but for Python's own."""

    @property
    def filled(self) -> int:
        """Bytes by which the first peak is above the second: what stays, and what that took."""
        return 0 if self.warm is None else max(0, self.cold.value - self.warm.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFills:
    """What the tests of a baseline fill, whichever of them comes first."""

    is_complete: bool
    """Whether all notable tests were measured cold when they were saved."""
    by_holder: Mapping[str, KnownFill]
    """By holder, the test that fills most of it."""
    loaded: frozenset[str] | None = None
    """Libraries that were loaded when it was saved; ``None`` if they are not known."""
    has_shared: bool = True
    """Whether what several tests fill, each a part of it, was measured when it was saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFill:
    """What a test of the baseline fills."""

    nodeid: str
    """The test; empty for several that fill a part each."""
    size: int
    """Bytes."""
    took: int
    """Bytes by which the test's cold peak is above its warm one: filling takes memory that does
    not stay, too."""


NO_FILLS: Final = KnownFills(is_complete=False, by_holder={})
"""What is known without a baseline."""


def known_fills(
    entries: Mapping[str, BaselineEntry],
    *,
    is_complete: bool,
    loaded: frozenset[str] | None = None,
    together: Sequence[Fill] = (),
    has_shared: bool = True,
) -> KnownFills:
    """Return what the entries of one environment say about fills.

    Args:
        entries: by node id.
        is_complete: whether all notable tests were measured cold when they were saved.
        loaded: libraries that were loaded when it was saved; ``None`` if they are not known.
        together: what several tests fill, each a part of it.
        has_shared: whether that was measured.
    """
    found: dict[str, KnownFill] = {}
    for nodeid, entry in entries.items():
        for fill in entry.fills:
            known = found.get(fill.holder)
            if known is None or fill.size > known.size:
                found[fill.holder] = KnownFill(
                    nodeid=nodeid, size=fill.size, took=max(0, entry.cold - entry.peak)
                )
    for fill in together:
        one = found.get(fill.holder)
        if one is None or fill.size > one.size:
            found[fill.holder] = _filled_together(fill, one)
    return KnownFills(
        is_complete=is_complete, by_holder=found, loaded=loaded, has_shared=has_shared
    )


def _filled_together(fill: Fill, most: KnownFill | None) -> KnownFill:
    """Return what tests fill together, in the name of the one that fills nearly all of it."""
    if most is None or fill.size > most.size + NOTABLE:
        return KnownFill(nodeid="", size=fill.size, took=fill.size)
    return KnownFill(nodeid=most.nodeid, size=fill.size, took=most.took + fill.size - most.size)


def added_fills(*parts: Sequence[Fill]) -> tuple[Fill, ...]:
    """Return what was filled in several processes, the largest first.

    Each may have filled another part of the same thing.
    """
    total: dict[str, int] = {}
    for fill in chain(*parts):
        total[fill.holder] = total.get(fill.holder, 0) + fill.size
    return _ranked(total)


def largest_fills(*parts: Sequence[Fill]) -> tuple[Fill, ...]:
    """Return the most that was filled of each thing on several occasions, the largest first."""
    most: dict[str, int] = {}
    for fill in chain(*parts):
        most[fill.holder] = max(fill.size, most.get(fill.holder, 0))
    return _ranked(most)


def joined_fills(
    before: Sequence[Fill], now: Sequence[Fill], *, has_new_tests: bool
) -> tuple[Fill, ...]:
    """Return what tests of two runs fill together, the largest first.

    Args:
        before: what those of the first have filled.
        now: what those of the second have filled.
        has_new_tests: whether the second had others: they may fill another part.
    """
    return (added_fills if has_new_tests else largest_fills)(before, now)


def _ranked(sizes: Mapping[str, int]) -> tuple[Fill, ...]:
    ranked = sorted(sizes.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Fill(holder=holder, size=size) for holder, size in ranked)


def against(
    budget: Budget,
    stored: BaselineValue,
    calls: TwoCalls,
    known: KnownFills,
    here: Peak | None = None,
) -> Against:
    """Judge a test that exceeded a limit of the baseline by two calls in a fresh process.

    Like is compared with like: the second call with the peak on record, the first one with the
    cold peak on record.

    Args:
        budget: the limit.
        stored: the baseline value that it was made from.
        calls: the peaks of both calls.
        known: what the tests of the baseline fill.
        here: the peak in the process that runs the tests; ``None`` if it is not about a peak.
    """
    limit = budget.limit + metric_named(budget.metric).tolerance(budget.limit)
    cold, warm = calls.cold, calls.warm
    if cold.value <= limit:
        return Against.TOO_CLOSE if _may_exceed(cold, limit) else Against.NOTHING
    if warm is None and calls.is_enough:
        return Against.AS_IN_OTHERS
    if warm is None:
        is_as_before = stored.cold and cold.value <= cold_limit(budget, stored)
        return Against.FILL_IS_KNOWN if is_as_before else Against.NOT_REPEATABLE
    if warm.value > limit:
        return Against.USE_GREW
    if _may_exceed(warm, limit):
        return Against.TOO_CLOSE
    return _against_filled(budget, stored, calls, known, here)


def _against_filled(
    budget: Budget,
    stored: BaselineValue,
    calls: TwoCalls,
    known: KnownFills,
    here: Peak | None,
) -> Against:
    """Judge a test whose first call exceeds the limit, and whose second one does not."""
    verdict = _against_fill(budget, stored, calls, known)
    if verdict is not Against.FILL_IS_KNOWN:
        # where nothing is filled, the limit lies between two readings that are alike
        noise = assumed(calls.cold.value, budget.metric)
        return Against.NOTHING if calls.filled <= noise else verdict
    if _is_far_above(here, calls.cold, stored.rule):
        return Against.NOTHING  # the fill explains a part of it, and no fresh process the rest
    return verdict


def _against_fill(
    budget: Budget, stored: BaselineValue, calls: TwoCalls, known: KnownFills
) -> Against:
    """Judge what the first call fills for good, where the second is within the limit.

    A library that another test had imported when the baseline was saved is imported by this
    one where that does not run. One that was not even loaded then is imported by this one only.
    """
    growth = calls.cold.value - (stored.cold or stored.before)
    of_imports = may_be_imports(calls.imports - stored.imports, growth)
    is_new = of_imports and bool(new_libraries(calls.libraries, known.loaded))
    by_imports = Against.IMPORT_IS_NEW if is_new else Against.FILL_MAY_BE_IMPORTS
    if stored.cold:
        if calls.cold.value <= cold_limit(budget, stored):
            return Against.FILL_IS_KNOWN
        return by_imports if of_imports else Against.FILL_GREW
    if is_new:
        return by_imports
    if grown_fills(calls.fills, known, stored.rule, budget.metric):
        return by_imports if of_imports else _new_fill(known)
    return _against_others(stored, calls, known, budget.metric)


def _new_fill(known: KnownFills) -> Against:
    """Return whether a fill that is more than any on record is new, as far as that is known."""
    if not known.is_complete:
        return Against.FILL_MAY_BE_KNOWN
    return Against.FILL_IS_NEW if known.has_shared else Against.FILL_MAY_BE_SHARED


def _against_others(
    stored: BaselineValue, calls: TwoCalls, known: KnownFills, metric: str
) -> Against:
    """Judge a first call that fills no more of anything than other tests do on record."""
    tests = {
        test.nodeid or fill.holder: test.took
        for fill in calls.fills
        if (test := known.by_holder.get(fill.holder)) is not None
    }
    took = sum(tests.values())
    most = took + max(NOTABLE, margin(stored.rule, took, metric))
    if tests and calls.filled <= most:
        return Against.FILL_IS_KNOWN
    small = sum(fill.size for fill in calls.fills if fill.holder not in known.by_holder)
    if known.is_complete and 0 < calls.filled - most <= min(small, NOTABLE):
        return Against.FILL_IS_SMALL  # several tests may have filled it, each a part
    return Against.FILL_MAY_BE_KNOWN


def cold_limit(budget: Budget, stored: BaselineValue) -> int:
    """Return the highest cold peak that the rule of a limit allows; 0 if none is on record."""
    if not stored.cold:
        return 0
    more = margin(stored.rule, stored.cold, budget.metric)
    return stored.cold + max(more, assumed(stored.cold, budget.metric))


def is_filled_as_before(budget: Budget, stored: BaselineValue, now: int, top: int) -> bool:
    """Return whether a peak is the cold one on record: neither more nor clearly less.

    Where another test has filled some of it before, a peak like the cold one is no evidence:
    the rest of what is filled, and something new, may add up to it.

    Args:
        budget: the limit, which the peak exceeds.
        stored: the baseline value that it was made from.
        now: the peak in bytes.
        top: its upper bound.
    """
    limit = cold_limit(budget, stored)
    return (
        bool(limit) and not stored.is_filled and top <= limit and now >= 2 * stored.cold - limit
    )


def grown_fills(
    fills: Sequence[Fill], known: KnownFills, rule: FailRule, metric: str
) -> list[Fill]:
    """Return the fills that are more than any test of the baseline fills of the same holder."""
    grown = []
    for fill in fills:
        before = known.by_holder.get(fill.holder)
        was = 0 if before is None else before.size
        if fill.size > was + max(NOTABLE, margin(rule, was, metric)):
            grown.append(fill)
    return grown


def grew_before(stored: BaselineValue, calls: TwoCalls, here: Peak | None) -> bool:
    """Return whether what the first call fills has grown by more than the test has used here.

    Then an earlier test of this process has filled that, under whatever name.

    Args:
        stored: the baseline value, with a cold peak.
        calls: the peaks of both calls in a fresh process.
        here: the peak in the process that runs the tests.
    """
    return here is not None and here.high < calls.cold.value - stored.cold


def grown_holders(
    budget: Budget, stored: BaselineValue, calls: TwoCalls, known: KnownFills
) -> set[str]:
    """Return the holders of what the first call fills beyond what is on record.

    That is what the same test fills on record, or where it fills nothing, any other test.

    Args:
        budget: the limit.
        stored: the baseline value that it was made from.
        calls: the peaks of both calls.
        known: what the tests of the baseline fill.
    """
    if stored.cold:
        own = {
            fill.holder: KnownFill(nodeid="", size=fill.size, took=0) for fill in stored.fills
        }
        known = KnownFills(is_complete=True, by_holder=own)
    grown = grown_fills(calls.fills, known, stored.rule, budget.metric)
    return {fill.holder for fill in grown}


def _is_far_above(here: Peak | None, cold: Peak, rule: FailRule) -> bool:
    """Return whether a peak is above that of a first call by more than a rule allows."""
    if here is None:
        return False
    more = max(NOTABLE, margin(rule, cold.value, cold.metric), assumed(cold.value, cold.metric))
    return here.value > cold.value + more


def _may_exceed(peak: Peak, limit: int) -> bool:
    return peak.high > limit and peak.high - peak.value > NEGLIGIBLE_SLACK
