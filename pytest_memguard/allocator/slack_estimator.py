"""Estimates an upper bound of the slack, and measures it as rarely as that allows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Final

from pytest_memguard.allocator.filler import (
    ALWAYS_ALLOWED,
    UNFILLED_POOLS,
    Filler,
)
from pytest_memguard.allocator.foreign_slack import ForeignSlack
from pytest_memguard.allocator.free_lists import clear_free_lists
from pytest_memguard.allocator.measured_slack import MeasuredSlack, SlackBound
from pytest_memguard.clock import Clock
from pytest_memguard.probes.available import available_memory
from pytest_memguard.sizes import MIB

_LARGEST_SMALL_BLOCK: Final = 512
_SHARE_OF_TIME: Final = 200
_SHARE_OF_TIME_IF_EXPENSIVE: Final = 20
# Less slack is never filled for good: pymalloc may open an arena each time.
_LEAST_FILLED_BYTES: Final = 2 * MIB
# A temporary filler must have lasted for so many measurements before slack is filled as tightly
# again; if it has not, a hundred measurements tolerate three times the slack.
_LASTING_MEASUREMENTS: Final = 20
_COARSE_MEASUREMENTS: Final = 100
_COARSE_FACTOR: Final = 3


class SlackEstimator:
    """Bounds the slack from above, at a bounded cost, and fills it where it matters.

    Slack appears when objects are freed. So the last measurement holds as long as resident
    memory has not risen and the number of small blocks has not fallen; what either has moved
    by is added. Neither shows what a test used and freed while it kept something else, or
    while the process freed memory of another kind: so what tests used at their peak is added
    as well. The estimator counts the blocks each time: that takes microseconds for a few
    objects, a tenth of a millisecond for a million, and milliseconds for ten million. A test
    can free as much as matters in less time than that, so no earlier count would do.

    The estimator measures again if what moved matters beside a tolerance, if two hundred
    times the cost of measuring has passed, and, where the bound would call for an expensive
    instrument, if twenty times its cost has.

    The probe counts the pools of a new arena that was never touched, and these are no slack.
    So what resident memory and bytes in use have moved by bounds a new measurement too. It
    does not show where other memory went while the small blocks grew, so that bound is
    trusted only for as much as one arena has.

    Slack that matters is filled, as far as the limits of `Filler` allow: for good, or for the
    time of one measurement.

    Args:
        probe: measures the slack, in 0.03 to 2 milliseconds.
        resident: returns resident bytes.
        blocks: counts the small blocks in use.
        others: bounds the slack of other allocators, which can neither be filled nor tracked.

    Attributes:
        filler: the blocks that stay for good.
        anywhere: bytes of the slack where blocks of any size fit.
        foreign: the most bytes of slack that other allocators had when it was last measured;
            no bound includes them.
        has_changed: whether slack was filled, or a filler dropped, since the last `has_filled`.
    """

    def __init__(
        self,
        probe: Callable[[], MeasuredSlack],
        resident: Callable[[], int],
        blocks: Callable[[], int] = sys.getallocatedblocks,
        others: ForeignSlack | None = None,
    ) -> None:
        self.filler = Filler()
        self.anywhere = self.foreign = 0
        self._others = others
        self._probe = probe
        self._resident = resident
        self._blocks = blocks
        self._now = Clock.cpu  # on a busy machine a share of the time would be more
        self._highest = 0
        self._last = SlackBound()
        self._temporary: Filler | None = None
        self._unfilled = self._last
        self._raised = 0
        self.has_changed = False
        self._lasted = 0
        self._used_since = 0
        self._coarse_left = 0
        self._most = 0
        self._more_due = 0.0

    def bound(self, level: int, tolerance: int, expensive: float, *, fill: bool = True) -> int:
        """Return an upper bound of the slack; measure it if need be.

        Args:
            level: resident bytes now.
            tolerance: bytes of slack that do not matter.
            expensive: bytes from which a higher bound costs more than measuring again.
            fill: whether to fill the slack, for good, where it matters.
        """
        known = self.known(level, tolerance, expensive)
        if known >= 0:
            return known
        self._lasted += 1
        last = self._last
        slack = self._ask(level, tolerance)
        if fill and last.slack > tolerance and last.small > _LEAST_FILLED_BYTES:
            self._fill(self.filler, slack, level)
        return last.slack

    def known(self, level: int, tolerance: int, expensive: float) -> int:
        """Return the bound if that takes no new measurement; -1 if it does.

        Args:
            level: resident bytes now.
            tolerance: as for `bound`.
            expensive: as for `bound`.
        """
        last, now = self._last, self._now()
        if not last.asked <= now < last.due:
            return -1
        gone = last.count - self._blocks()
        moved = gone * _LARGEST_SMALL_BLOCK if gone > 0 else 0
        if level > last.level:
            moved += level - last.level
        else:  # memory that the process returned must not hide what rises from now on
            last.level = level
        moved += self._used_since
        bound = last.slack + moved
        if bound > tolerance and moved > tolerance // 2:
            return -1
        if bound > expensive and now >= last.soon:
            return -1
        self._lasted += 1
        return bound

    def note_use(self, size: int) -> None:
        """Note bytes that a test used at its peak: as many may have become slack.

        Args:
            size: by how much its peak was above its start.
        """
        self._used_since += size

    def discount(self, level: int) -> None:
        """Note that an instrument has taken what came since the last measurement: no slack.

        Args:
            level: resident bytes now.
        """
        heap = self._probe().heap
        answers = [self._last] if self._temporary is None else [self._last, self._unfilled]
        for answer in answers:
            answer.level, answer.heap = level, heap

    def fill_all(self, level: int) -> None:
        """Fill all of the slack for good, in a process that measures one test and ends.

        Args:
            level: resident bytes now.
        """
        self._fill(self.filler, self._ask(level), level)

    def fill_temporarily(
        self, level: int, slack: int, permanently_above: int, temporarily_above: float
    ) -> int:
        """Fill the slack until `release` is called, and return the bound then.

        Between measurements the free places are there for what the process keeps, so slack
        does not grow with every measurement, as it does behind a filler that stays. But each
        time pymalloc may open an arena, which whatever stays of a test keeps alive. So where
        a filler does not last for many measurements, more slack is tolerated for a while, and
        where filling has made the process much larger, nothing is filled any more.

        Args:
            level: resident bytes now.
            slack: the bound now.
            permanently_above: bytes of slack that would take long to fill each time: it is
                filled for good.
            temporarily_above: bytes up to which nothing is filled.
        """
        if self._coarse_left:
            self._coarse_left -= 1
            if slack <= _COARSE_FACTOR * temporarily_above:
                return slack
        if self._temporary is not None:
            self._coarse_left = (
                _COARSE_MEASUREMENTS if self._lasted < _LASTING_MEASUREMENTS else 0
            )
            self.release()
        self._lasted = 0
        slack = self.bound(level, permanently_above, inf)
        if slack <= temporarily_above:
            return slack
        before = self._resident()
        free = self._ask(level)
        if free.small + self.filler.size > self._most:
            return self._last.slack
        self._unfilled, self._last = self._last, replace(self._last)
        self._temporary = Filler()
        self._fill(self._temporary, free, level)
        self._raised = self._resident() - before
        return self._last.slack

    def fill_more(
        self, level: int, slack: int, permanently_above: int, temporarily_above: float
    ) -> int:
        """Fill slack that came since `fill_temporarily`, or fill for the first time.

        Args:
            level: resident bytes now.
            slack: the bound now.
            permanently_above: bytes above which slack is filled for good.
            temporarily_above: bytes up to which nothing is filled.

        Returns:
            The bound then.
        """
        if self._temporary is None:
            return self.fill_temporarily(level, slack, permanently_above, temporarily_above)
        now = self._now()
        if slack <= temporarily_above or now < self._more_due:
            return slack
        start, before = now, self._resident()
        self._fill(self._temporary, self._ask(level), level)
        self._raised += self._resident() - before
        self._more_due = now + (self._now() - start) * _SHARE_OF_TIME_IF_EXPENSIVE
        return self._last.slack

    def has_filled(self) -> bool:
        """Whether slack was filled, or a filler dropped, since the last call."""
        filled, self.has_changed = self.has_changed, False
        return filled

    def release(self) -> int:
        """Drop the temporary filler; return by how many bytes it had made the process larger.

        Tuples, lists and the like in the interpreter's free lists lie in arenas that had to be
        opened. What is kept of the test would be made of them, and each would keep a whole
        arena alive.
        """
        if self._temporary is None:
            return 0
        self.has_changed = True
        self._temporary.drop()
        self._temporary = None
        self._last = self._unfilled
        clear_free_lists()
        raised, self._raised = self._raised, 0
        return raised

    def _ask(self, level: int, tolerance: float = inf) -> MeasuredSlack:
        """Measure the slack, and note what moved since as a second bound of it."""
        last = self._last
        start = self._now()
        slack = self._probe()
        if self._others is not None:
            self.foreign = self._others.bound(slack, tolerance)
        cost = self._now() - start
        self._highest = max(self._highest, level)
        self._most = self._most or slack.small + max(ALWAYS_ALLOWED, level // 2)
        if slack.hooked:
            self._note(slack, level, self._unasked(slack, level))
        else:
            moved = last.small + max(0, level - last.level) + last.used - slack.used
            moved += self._used_since
            self._used_since = 0
            moved = max(moved, slack.small - slack.arena_size, 0)
            self._note(slack, level, min(slack.small, moved))
        end = last.asked = self._now()
        last.due = end + cost * _SHARE_OF_TIME
        last.soon = end + cost * _SHARE_OF_TIME_IF_EXPENSIVE
        return slack

    def _unasked(self, slack: MeasuredSlack, level: int) -> float:
        """Return a bound of the slack for small blocks from what moved since the last answer.

        Resident memory that came is slack unless it is in use on the C heap. Before the
        first measurement nothing is known, which is one of the gaps.
        """
        last = self._last
        came = max(0, level - last.level - slack.heap + last.heap)
        gone = max(0, last.count - self._blocks()) * _LARGEST_SMALL_BLOCK
        return last.small + came + gone if last.small < inf else 0

    def _note(self, slack: MeasuredSlack, level: int, small: float) -> None:
        last = self._last
        last.small, last.slack = small, int(small) + slack.malloc
        last.level, last.count, last.heap = level, self._blocks(), slack.heap
        if not slack.hooked:
            last.used = slack.used
        self.anywhere = slack.anywhere

    def _fill(self, filler: Filler, slack: MeasuredSlack, level: int) -> None:
        """Fill the slack, and note what is left of it."""
        before, size = self._resident(), filler.size
        complete = filler.fill(slack, self._highest, available_memory())
        if filler.size == size:
            return
        self.has_changed = True
        slack = self._probe()
        # pools beyond those left unfilled are those of a new arena, never touched
        beyond = max(0, slack.pools - UNFILLED_POOLS) if complete else 0
        level += self._resident() - before
        self._note(slack, level, slack.small - beyond * slack.pool_size)
