"""Calls a function repeatedly, reads the signals in rounds, and applies the leak rule."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

from pytest_memguard.clock import Clock
from pytest_memguard.judge.early_verdict import early_verdict, shows_no_growth
from pytest_memguard.judge.lasting_growth import LEAST_CALLS
from pytest_memguard.judge.leak import (
    SHORT_ROUND_CALLS,
    confirmed,
    final,
    next_size,
)
from pytest_memguard.judge.rounds import LEAST_ROUNDS, allowance, is_flat, joined
from pytest_memguard.judge.stepped_growth import is_pausing
from pytest_memguard.model.leak_sizes import is_large
from pytest_memguard.model.leaks import BYTE_SIGNALS, Signal, Verdict
from pytest_memguard.recording.artefacts import AGAIN, Artefacts
from pytest_memguard.recording.calls import CallFailed
from pytest_memguard.recording.in_place import GrowthInPlace
from pytest_memguard.recording.kept_rounds import KeptRounds
from pytest_memguard.recording.limits import (
    INSTRUMENTED,
    MANY_CALLS,
    AllowedCalls,
    Limits,
    most_calls,
)
from pytest_memguard.recording.signal_reading import SignalReading
from pytest_memguard.recording.slow_to_end import Patience, SlowToEnd
from pytest_memguard.sizes import format_number

_SCREEN: Final = 4
_SCREENS: Final = 3
"""Calls per round of the fast path, and the most rounds of it."""
_FEWEST: Final = 2 * _SCREEN
"""Calls after the warm-up below which no verdict is possible."""
_PAUSE: Final = 1 / 10
"""Share of the time limit that a clean-looking test may be repeated for, in case it grows in
steps."""

Suspicion = Callable[[Verdict], Verdict | None]


class Repetition:
    """Repeats a call until the leak rule has a verdict or a limit is reached.

    There are three steps, and each is taken only if the one before leaves the verdict open: a
    few calls, which show most tests to be clean; rounds of more and more calls, with caches
    emptied before each reading; and, once something has grown steadily, the search for its
    cause.

    Args:
        call: makes one call; raises `CallFailed` if it did not go as the first one did.
        reader: reads the signals.
        limits: the limits of the check.
        on_suspicion: called once, with the verdict so far, after something has grown steadily
            for a while; if it returns a verdict, the check ends with that.
        kept: bytes of the C heap that the very first call kept, which was made before the
            repetition.
        patience: how long this run may wait for threads and the like to end.
        is_known: called once, before `on_suspicion`; returns a verdict if the leak is one that
            the run has diagnosed already.
        not_before: returns the seconds of the check before which `on_suspicion` is not called,
            unless no more calls are possible; called once something seems to leak.

    Attributes:
        calls: number of calls made so far.
    """

    def __init__(
        self,
        call: Callable[[], None],
        reader: SignalReading,
        limits: Limits,
        on_suspicion: Suspicion | None = None,
        kept: int = 0,
        patience: Patience | None = None,
        is_known: Suspicion | None = None,
        not_before: Callable[[], float] = float,
    ) -> None:
        self._call = call
        self._read = reader.read
        self._collect, self._settle = reader.collect, partial(reader.settle, types=False)
        self._signals = tuple(reader.signals)
        self._limits = limits
        self._on_suspicion = on_suspicion
        self._is_known = is_known
        self._not_before = not_before
        self._now = Clock.seconds
        self._start, self._noted, self._before, self._after = (reader.row() for _ in range(4))
        self._rounds = KeptRounds(self._signals)
        self._done = 0
        self.calls = 0
        self._started = 0.0
        self._grown = reader.row()
        self._allowed = AllowedCalls(limits, self._rounds, self._grown)
        self._earlier = reader.row()
        self._first = reader.row()
        if kept and "C heap" in self._signals:
            self._first[self._signals.index("C heap")] = kept
        self._earlier[:] = self._first
        self._looks_clean = False
        self._clean_at = 0.0
        self._in_place = GrowthInPlace(reader.small_blocks)
        self._watches = False
        self._disturbed = self._too_slow = False
        self._slow = SlowToEnd(
            self._call_once, reader, self._start, limits.seconds, patience or Patience()
        )
        self._artefacts = Artefacts(self._call_once, self._calls, reader)

    @property
    def start(self) -> dict[Signal, int]:
        """Return the readings before the first call, plus bytes that instruments took."""
        return dict(zip(self._signals, self._start, strict=True))

    def verdict(self) -> Verdict:
        """Repeat the call until there is a verdict, and return it."""
        self._started = self._now()
        self._read(self._start, settle=False)
        self._noted[:] = self._start
        try:
            clean = self._screen()
            return clean or self._try()
        except CallFailed as failed:
            reason = f"call {self.calls + 1} of the repetition went wrong: {failed}"
            return Verdict(
                state="undecided", calls=self.calls, rounds=self._rounds.series(), reason=reason
            )

    def _screen(self) -> Verdict | None:
        """Take the fast path: return a verdict of clean if a few calls leave nothing behind."""
        quickest = self._warm_up()
        if quickest * _FEWEST > self._limits.seconds - self._spent():
            self._read(self._before, settle=False)
            self._note_growth(self._before)
            self._too_slow = not self._does_harm()
            return None
        screens = _SCREENS if self._limits.calls >= MANY_CALLS else 2
        settle = False
        for number in range(1, screens + 1):
            if self._stopped():
                break
            self._round(_SCREEN, settle=settle)
            if not len(self._rounds):
                self._note_growth(self._before)
                return None
            if self._passes():
                grows = self._in_place.has_grown(_SCREEN)
                if grows and number < screens:
                    self._watches = True  # between the rounds we may have grown ourselves
                    continue
                if grows or self._may_pause():
                    self._note_growth(self._after)
                    self._looks_clean = True
                    self._clean_at = self._spent()
                    break
                calls = _SCREEN * len(self._rounds)
                return Verdict(state="clean", calls=calls, rounds=self._rounds.series())
            self._note_growth(self._after)
            grew = self._grew()
            if grew and len(self._rounds) > screens - 2:
                break  # no two rounds in a row can be without growth any more
            if grew:  # it may have been a cache of the standard library: empty them from now on
                settle = True
                self._read(self._after, settle=True)
                self._noted[:] = self._after
                self._call_once()
        self._rounds.forget()
        return None

    def _warm_up(self) -> float:
        """Make the warm-up calls, and return how many seconds the fastest of them took."""
        quickest, spent = inf, 0.0
        for _ in range(self._limits.warmup):
            if self._stopped():
                break
            self._call_once()
            before, spent = spent, self._spent()
            quickest = min(quickest, spent - before)
        return quickest if quickest < inf else 0.0

    def _spent(self) -> float:
        """Return the seconds since the check began."""
        return self._now() - self._started

    def _passes(self) -> bool:
        # not inlined: its local variables would count as blocks
        rounds = self._rounds
        if len(rounds) < 2:
            return False
        return not rounds.rose(2) or shows_no_growth(rounds.series())

    def _may_pause(self) -> bool:
        """Return whether a test that looks clean needs more calls.

        The user may have asked for them, or the first call may have kept so much that it can be
        one step of growth that comes in steps.
        """
        if self.calls < self._limits.least:
            return True
        rounds, kept = self._rounds, self._first
        # what has never grown waits for nothing: that is so for most signals of most tests
        grown = [i for i, size in enumerate(kept) if size > 0 or rounds.rose_in(i)]
        if not grown:
            return False
        series = rounds.series()
        return any(is_pausing(series, self._signals[i], kept[i]) for i in grown)

    def _note_growth(self, row: array[int]) -> None:
        """Add what has grown since the last note to the growth before the rounds.

        USS is left out: the first calls leave free pages behind. Readings before and after
        caches are emptied are not compared: what fills the thread cache again would count as
        growth.
        """
        for index, signal in enumerate(self._signals):
            if signal != "USS":
                self._earlier[index] += max(0, row[index] - self._noted[index])
        self._noted[:] = row

    def _growths(self) -> dict[Signal, int]:
        """Return how much each signal grew before the rounds."""
        return dict(zip(self._signals, self._earlier, strict=True))

    def _grew(self) -> bool:
        """Return whether something grew in the latest round."""
        return not is_flat(self._rounds.at(len(self._rounds) - 1))

    def _does_harm(self) -> bool:
        """Return whether a single call takes so much that a reading must follow every call."""
        self._update_grown(self._before)
        return self._allowed.does_harm()

    def _update_grown(self, row: array[int]) -> None:
        """Update by how much each signal has grown since the first call."""
        for index, value in enumerate(row):
            self._grown[index] = value - self._start[index]

    def _try(self) -> Verdict:
        # what the first reading with caches emptied leaves behind is gone after the next call
        self._disturbed = True
        self._read(self._after, settle=True)
        while True:
            stopped = self._stopped()
            if stopped:
                return self._final(stopped)
            if self._disturbed:
                # one call more, which takes up what the instruments leave behind
                self._disturbed = False
                self._call_once()
                continue
            size = min(next_size(self._done), self._left())
            self._round(size, settle=True)
            self._done += size
            verdict = self._conclude() or self._ask()
            if verdict is not None:
                return verdict

    def _conclude(self) -> Verdict | None:
        """Return a verdict if no further calls are needed for one."""
        if self.calls < self._limits.least:
            return None
        verdict = early_verdict(self._rounds.series(), self._growths())
        if verdict is None and self._has_waited():
            return self._quiet()
        return verdict

    def _has_waited(self) -> bool:
        """Return whether a test that looked clean was repeated long enough to show steps."""
        waited = self._spent() - self._clean_at
        return self._looks_clean and waited > _PAUSE * self._limits.seconds

    def _ask(self, *, is_over: bool = False) -> Verdict | None:
        """Have the cause of steady growth looked for, once.

        No cause is looked for if the memory limit is used up, or if the search would use it up:
        where growth per call rises with every call, some more calls may take a hundred times as
        much. Some more files or threads do less harm than a leak without a diagnosis.

        Args:
            is_over: whether no more calls are possible.

        Returns:
            A verdict that ends the check, if there is one.
        """
        if self._on_suspicion is None:
            return None
        at_limit = (
            self._allowed.used_up is not None and self._allowed.used_up not in BYTE_SIGNALS
        )
        so_far = final(self._rounds.series(), "", self._least_calls(), at_limit=at_limit)
        if so_far.state != "leaking":
            return None
        is_early = not is_over and self._spent() < self._not_before()
        if (is_early and self._is_known is None) or self._allowed.would_eat():
            return None
        ended = self._ended_by_themselves()
        if ended is not None or self._begins_anew(so_far):
            return ended
        if self._is_known is not None:
            known = self._is_known(so_far)
            self._is_known, self._disturbed = None, True
            if known is not None or is_early:
                return known
        return self._diagnose(so_far, self._on_suspicion)

    def _begins_anew(self, so_far: Verdict) -> bool:
        """Return whether artefacts account for growth; then all rounds are forgotten."""
        if not self._artefacts.account_for(so_far, self._left()):
            return False
        self._rounds.forget()
        self._done = 0
        self._disturbed = True
        return True

    def _diagnose(self, so_far: Verdict, ask: Suspicion) -> Verdict | None:
        """Have the cause looked for, and leave out what that has taken.

        Args:
            so_far: leaking.
            ask: looks for the cause.

        Returns:
            A verdict that ends the check, if there is one.
        """
        self._on_suspicion = None
        self._read(self._before, settle=True)
        frozen = gc.get_freeze_count()
        verdict = ask(so_far)
        self._disturbed = True
        if verdict is None:
            self._read(self._after, settle=True)
            self._leave_out_instruments(so_far)
            left = self._limits.calls - self.calls
            if gc.get_freeze_count() != frozen and left > AGAIN + LEAST_CALLS:
                # the instruments froze what was alive in the middle of the calls
                self._artefacts.frozen_takes_in(so_far, explained=True)
        return verdict

    def _ended_by_themselves(self) -> Verdict | None:
        """Return a verdict if what grew were threads and the like that only end late."""
        ended = self._slow.wait()
        if ended is None:
            return None
        later = format_number(ended.seconds, 2)
        reason = f"the {ended.names} that calls leave are gone {later} s later"
        verdict = Verdict(
            state="settling", calls=self.calls, rounds=self._rounds.series(), reason=reason
        )
        if not ended.stays:
            return verdict
        reason = f"{reason}, and {' and '.join(ended.stays)} grow beside them"
        return replace(verdict, state="undecided", reason=reason)

    def _leave_out_instruments(self, so_far: Verdict) -> None:
        """Do not count the memory that instruments took, such as symbol tables, as leaked.

        What the calls under the instruments leaked, at the rate known so far, is still counted.
        """
        rates = {rate.signal: rate.per_call for rate in so_far.rates}
        for index, signal in enumerate(self._signals):
            if signal in BYTE_SIGNALS:
                taken = self._after[index] - self._before[index]
                lost = int(INSTRUMENTED * rates.get(signal, 0.0))
                self._start[index] += max(0, taken - lost)

    def _final(self, stopped: str) -> Verdict:
        verdict = self._quiet() or self._ask(is_over=True) or self._by_the_rule(stopped)
        if verdict.state == "undecided":
            verdict = self._ended_by_themselves() or verdict
        longest = max((a_round.calls for a_round in verdict.rounds), default=0)
        if (
            verdict.state != "leaking"
            or self._allowed.used_up is not None
            or longest > SHORT_ROUND_CALLS
        ):
            return verdict
        return self._confirm(verdict, 2 * longest)

    def _by_the_rule(self, stopped: str) -> Verdict:
        """Return the verdict of the leak rule on all rounds.

        If the first call alone was the reason for more calls than usual, a little noise in
        these does not make the verdict undecided.
        """
        series = self._rounds.series()
        verdict = final(
            series, stopped, self._least_calls(), at_limit=self._allowed.used_up is not None
        )
        unasked = self._looks_clean and not self._limits.least
        if verdict.state == "undecided" and unasked and not is_large(series):
            return Verdict(state="clean", calls=verdict.calls, rounds=series)
        return verdict

    def _quiet(self) -> Verdict | None:
        """The verdict where the calls are over and nothing grows, if that is so."""
        series = self._rounds.series()
        verdict = early_verdict(series)
        if verdict is None and self._looks_clean and is_flat(joined(series)):
            return Verdict(state="clean", calls=self.calls, rounds=series)
        return verdict

    def _confirm(self, verdict: Verdict, size: int) -> Verdict:
        """Make one more round, longer than any before, and return the verdict after it."""
        if self.calls + size >= self._limits.calls:
            reason = (
                f"{verdict.calls} calls are too few to tell, {most_calls(self._limits.calls)}"
            )
            return replace(verdict, state="undecided", reason=reason)
        self._call_once()  # the instruments may have been here
        self._round(size, settle=True)
        shorter = len(self._rounds) - 1
        longer = self._rounds.at(shorter)
        self._rounds.forget(but=shorter)
        return confirmed(verdict, longer)

    def _least_calls(self) -> int:
        return LEAST_CALLS if self._allowed.used_up is None else LEAST_ROUNDS

    def _round(self, size: int, *, settle: bool) -> None:
        """Make one round of calls, and keep by how much each signal changed.

        The first round of the fast path is not made if a single call does harm.

        Args:
            size: number of calls.
            settle: whether to empty caches before each reading.
        """
        # both readings are made in this function, and its frame is made an object before the
        # first: a call that asks for its callers makes it one, and it stays until we return
        sys._getframe()  # noqa: SLF001
        first = not settle and not len(self._rounds)
        self._read(self._before, settle=settle, types=first)
        if first and self._does_harm():
            return
        if self._watches:
            self._in_place.note()
        self._calls(size, self._settle if settle else self._collect)
        self._read(self._after, settle=settle, before=self._before if settle else None)
        if not settle:
            self._in_place.note()  # at once: what runs in between fills free lists
        if not settle and self._has_grown(size):
            # new blocks may be the interpreter's type caches: clear them, as before this round
            self._read(self._after, settle=False, types=True, before=self._before)
            self._in_place.note(instead=True)
        self._rounds.add(size, self._before, self._after)
        self._update_grown(self._after)

    @property
    def _at_once(self) -> int:
        """Return the most calls between collections of garbage: as many as in the warm-up."""
        return min(_SCREEN, max(1, self._limits.warmup))

    def _calls(self, left: int, tidy: Callable[[], None]) -> None:
        """Make calls, and never let more garbage pile up than in the warm-up.

        Rounds become longer. If garbage were collected or caches emptied only at the end of a
        round, each round would need more pages than all those before it.
        """
        at_once = self._at_once
        while left > at_once:
            for _ in range(at_once):
                self._call_once()
            tidy()
            left -= at_once
        for _ in range(left):
            self._call_once()

    def _has_grown(self, calls: int) -> bool:
        """Return whether there are new blocks, or more of the C heap than in a flat round."""
        return any(
            after - before > (allowance(signal, calls) if signal == "C heap" else 0)
            for signal, before, after in zip(
                self._signals, self._before, self._after, strict=True
            )
            if signal in ("blocks", "C heap")
        )

    def _call_once(self) -> None:
        self._call()
        self.calls += 1

    def _stopped(self) -> str:
        """Return the reason why no further calls are made; empty if they go on."""
        return self._allowed.stopped(
            self.calls, self._spent(), self._done, in_time=not self._too_slow
        )

    def _left(self) -> int:
        """Return how many calls can be made before a limit is reached, at the rates so far."""
        return self._allowed.affordable(self.calls, self._spent(), self._done)
