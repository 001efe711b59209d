"""Calls something again and again, reads what leaks show in, and asks the judge."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
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
from pytest_memguard.leak_sizes import is_large
from pytest_memguard.leaks import BYTE_SIGNALS, Round, Signal, Verdict
from pytest_memguard.parsing import StopAt
from pytest_memguard.recording.artefacts import AGAIN, Artefacts
from pytest_memguard.recording.signal_reading import SignalReading
from pytest_memguard.recording.slow_to_end import Patience, SlowToEnd
from pytest_memguard.sizes import format_size
from pytest_memguard.values import dataclass

WARMUP: Final = 2
"""Calls nobody reads, unless asked otherwise."""
_SCREEN: Final = 4
_SCREENS: Final = 3
"""Calls of a round of the first look, and how many of them there may be."""
_FEWEST: Final = 2 * _SCREEN
"""Calls after the warm-up without which nothing can be told."""
_MOST_ROUNDS: Final = 200
_INSTRUMENTED: Final = 16
"""Calls under instruments, about, that an explanation takes."""
_EXPLAINED: Final = 6 * _INSTRUMENTED
"""Calls that all instruments together take, about."""
_EVER_MORE: Final = 4
"""Rounds, each with more growth per call than the one before, that show it to be faster and
faster."""
_HARMLESS: Final = 32
"""The part of a limit that one call may take before every call is looked at."""
FEWEST_CALLS: Final = 34
"""With fewer calls nothing is called leaking."""
_MANY_CALLS: Final = 120
"""With so many the last rounds are not short."""
_STOP_AT: Final = StopAt()  # its defaults are those of a check as well
_PAUSE: Final = 1 / 10
"""Share of the time there is that may go into calls after which growth in steps may show,
where none was seen."""
_THREADS: Final[frozenset[Signal]] = frozenset({"Python threads", "native threads"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a check goes."""

    calls: int = 2000
    """Calls at most."""
    seconds: float = 20.0
    """Seconds at most."""
    whole: float = 0.0
    """Seconds of which these are what is left; 0 if they are all there is."""
    least: int = 0
    """Calls that a verdict of clean rests on at least, warm-up and all."""
    warmup: int = WARMUP
    """Calls nobody reads."""
    memory: int = _STOP_AT.memory
    """Bytes a leak may use up."""
    files: int = _STOP_AT.files
    """Descriptors, child processes or tasks it may use up."""
    threads: int = _STOP_AT.threads
    """Threads it may use up."""
    end: float = inf
    """When, by `Clock.seconds`, a timeout ends the test, check and all."""


class CallFailed(Exception):  # noqa: N818  a state of the repetition, not an error of ours
    """A repetition did not do what the first call did; its text says what happened."""


Suspicion = Callable[[Verdict], Verdict | None]


class Repetition:
    """Follows a callable until the judge has a verdict or a limit is reached.

    Three steps, each only if the one before calls for it: a few calls that show most
    callables to be clean; rounds that become longer, with everything settled before each
    look; and, where something grows steadily, the question who holds it.

    Args:
        call: makes one call; raises `CallFailed` if it went otherwise than the first.
        reader: reads what leaks show in.
        limits: how far to go.
        on_suspicion: asked once, with the verdict so far, when something has grown steadily
            for a while; a verdict it returns ends the check.
        kept: bytes of the C heap that the very first call kept, which was made before.
        patience: how long to wait in this run for what ends by itself.
        is_known: asked once, before `on_suspicion`, whether it is a leak that is known.
        not_before: seconds of the check before which `on_suspicion` is not asked, unless there
            are no more calls.

    Attributes:
        calls: made so far.
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
        not_before: float = 0.0,
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
        # room for all the numbers there can be, so that keeping them is no growth
        self._kept = array("q", bytes(8 * _MOST_ROUNDS * (len(self._signals) + 1)))
        self._rounds = 0
        self._done = 0
        self.calls = 0
        self._started = 0.0
        self._grown = reader.row()
        self._earlier = reader.row()
        self._first = reader.row()
        if kept and "C heap" in self._signals:
            self._first[self._signals.index("C heap")] = kept
        self._earlier[:] = self._first
        self._looks_clean = False
        self._clean_at = 0.0
        self._disturbed = self._too_slow = False
        self._eats: Signal | None = None
        self._slow = SlowToEnd(
            self._call_once, reader, self._start, limits.seconds, patience or Patience()
        )
        self._artefacts = Artefacts(self._call_once, self._calls, reader)

    @property
    def start(self) -> dict[Signal, int]:
        """What was read before the first call, with what the instruments took."""
        return dict(zip(self._signals, self._start, strict=True))

    def verdict(self) -> Verdict:
        """Repeat the call as often as it takes."""
        self._started = self._now()
        self._read(self._start, settle=False)
        self._noted[:] = self._start
        try:
            clean = self._screen()
            return clean or self._try()
        except CallFailed as failed:
            reason = f"call {self.calls + 1} of the repetition went wrong: {failed}"
            return Verdict(
                state="unclear", calls=self.calls, rounds=self._series(), reason=reason
            )

    def _screen(self) -> Verdict | None:
        """Clean, if a few calls leave nothing at all behind."""
        quickest = self._warm_up()
        if quickest * _FEWEST > self._limits.seconds - self._spent():
            self._read(self._before, settle=False)
            self._note_growth(self._before)
            self._too_slow = not self._does_harm()
            return None
        screens = _SCREENS if self._limits.calls >= _MANY_CALLS else 2
        settle = False
        for _ in range(screens):
            if self._stopped():
                break
            self._round(_SCREEN, settle=settle)
            if not self._rounds:
                self._note_growth(self._before)
                return None
            if self._passes():
                if self._may_pause():
                    self._note_growth(self._after)
                    self._looks_clean = True
                    self._clean_at = self._spent()
                    break
                calls = _SCREEN * self._rounds
                return Verdict(state="clean", calls=calls, rounds=self._series())
            self._note_growth(self._after)
            grew = self._grew()
            if grew and self._rounds > screens - 2:
                break  # the next one cannot be the second without growth
            if grew:  # it may have been a cache of the standard library: empty them from now on
                settle = True
                self._read(self._after, settle=True)
                self._noted[:] = self._after
                self._call_once()
        self._rounds = 0
        return None

    def _warm_up(self) -> float:
        """Make the calls nobody reads; seconds of the quickest."""
        quickest, spent = inf, 0.0
        for _ in range(self._limits.warmup):
            if self._stopped():
                break
            self._call_once()
            before, spent = spent, self._spent()
            quickest = min(quickest, spent - before)
        return quickest if quickest < inf else 0.0

    def _spent(self) -> float:
        """Seconds since the check began."""
        return self._now() - self._started

    def _passes(self) -> bool:
        # not in there: its locals would count
        return self._rounds > 1 and shows_no_growth(self._series())

    def _may_pause(self) -> bool:
        """Whether more calls are called for: by the user, or by what the first call kept."""
        if self.calls < self._limits.least:
            return True
        series, kept = self._series(), self._first
        return any(is_pausing(series, s, kept[i]) for i, s in enumerate(self._signals))

    def _note_growth(self, row: array[int]) -> None:
        """Note what has grown since the latest note; not pages, which first calls leave free.

        Readings with and without caches settled are not compared: what fills the thread cache
        in the former would count as growth.
        """
        for index, signal in enumerate(self._signals):
            if signal != "USS":
                self._earlier[index] += max(0, row[index] - self._noted[index])
        self._noted[:] = row

    def _growths(self) -> dict[Signal, int]:
        """By how much each signal grew before the rounds."""
        return dict(zip(self._signals, self._earlier, strict=True))

    def _grew(self) -> bool:
        """Whether something grew in the latest round."""
        return not is_flat(self._round_at(self._rounds - 1))

    def _does_harm(self) -> bool:
        """Whether a single call has taken so much that every further one must be looked at."""
        limits = self._limits
        for index, signal in enumerate(self._signals):
            grown = self._before[index] - self._start[index]
            self._grown[index] = grown
            if grown <= 0 or signal == "blocks":
                continue
            if grown > self._most(signal, limits) / _HARMLESS:
                return True
        return False

    def _try(self) -> Verdict:
        # what the first look of this kind leaves behind goes with the call after it
        self._disturbed = True
        self._read(self._after, settle=True)
        while True:
            stopped = self._stopped()
            if stopped:
                return self._final(stopped)
            if self._disturbed:
                # likewise what the instruments leave behind
                self._disturbed = False
                self._call_once()
                continue
            size = min(next_size(self._done), self._affordable())
            self._round(size, settle=True)
            self._done += size
            verdict = self._conclude() or self._ask()
            if verdict is not None:
                return verdict

    def _conclude(self) -> Verdict | None:
        """The verdict that needs no further calls, if that is so."""
        if self.calls < self._limits.least:
            return None
        verdict = early_verdict(self._series(), self._growths())
        if verdict is None and self._has_waited():
            return self._quiet()
        return verdict

    def _has_waited(self) -> bool:
        """Whether a callable that looked clean was given all the time that steps may take."""
        waited = self._spent() - self._clean_at
        return self._looks_clean and waited > _PAUSE * self._limits.seconds

    def _ask(self, *, is_over: bool = False) -> Verdict | None:
        """Ask once whether it is known who does it.

        What only ate all memory that it may is not looked into, nor what would: if it grows by
        a share of itself with every call, some more calls may eat a hundred times that. Some
        more files or threads do less harm than a leak without an explanation.

        Args:
            is_over: whether there are no more calls.
        """
        is_early = not is_over and self._spent() < self._not_before
        if self._on_suspicion is None or (is_early and self._is_known is None):
            return None
        eaten = self._eats is not None and self._eats not in BYTE_SIGNALS
        so_far = final(self._series(), "", self._least_calls(), at_limit=eaten)
        if so_far.state != "leaking" or self._would_eat():
            return None
        ended = self._ended_by_themselves()
        if ended is not None:
            return ended
        if self._artefacts.account_for(so_far, self._affordable()):
            self._rounds = self._done = 0
            self._disturbed = True
            return None
        if self._is_known is not None:
            ask, self._is_known = self._is_known, None
            known = ask(so_far)
            self._disturbed = True
            if known is not None or is_early:
                return known
        ask, self._on_suspicion = self._on_suspicion, None
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
        """A verdict if threads and the like, and what they hold, are only slow to end."""
        ended = self._slow.wait()
        if ended is None:
            return None
        reason = f"the {ended.names} that calls leave are gone {ended.seconds:.2g} s later"
        verdict = Verdict(
            state="settling", calls=self.calls, rounds=self._series(), reason=reason
        )
        if not ended.stays:
            return verdict
        reason = f"{reason}, and {' and '.join(ended.stays)} grow beside them"
        return replace(verdict, state="unclear", reason=reason)

    def _would_eat(self) -> bool:
        """Whether the calls that look into growth would eat more than it may.

        They are many. Where each call keeps a share more than the one before, the last of them
        keeps a multiple of all so far.
        """
        rounds = range(max(0, self._rounds - _EVER_MORE), self._rounds)
        if len(rounds) < _EVER_MORE:
            return False
        calls = self._round_at(self._rounds - 1).calls
        for signal in self._signals:
            rates = [self._rate_at(number, signal) for number in rounds]
            if signal not in BYTE_SIGNALS or min(rates) <= 0:
                continue
            times = min(later / earlier for earlier, later in pairwise(rates))
            if times > 1 and rates[-1] * times ** (_EXPLAINED / calls) > self._limits.memory:
                return True
        return False

    def _leave_out_instruments(self, so_far: Verdict) -> None:
        """Do not count as lost what the instruments took: tables of symbols, for one.

        What the calls under them lost is counted, at the rate that is known.
        """
        rates = {rate.signal: rate.per_call for rate in so_far.rates}
        for index, signal in enumerate(self._signals):
            if signal in BYTE_SIGNALS:
                taken = self._after[index] - self._before[index]
                lost = int(_INSTRUMENTED * rates.get(signal, 0.0))
                self._start[index] += max(0, taken - lost)

    def _final(self, stopped: str) -> Verdict:
        verdict = self._quiet() or self._ask(is_over=True) or self._by_the_rule(stopped)
        if verdict.state == "unclear":
            verdict = self._ended_by_themselves() or verdict
        longest = max((a_round.calls for a_round in verdict.rounds), default=0)
        if verdict.state != "leaking" or self._eats is not None or longest > SHORT_ROUND_CALLS:
            return verdict
        return self._confirm(verdict, 2 * longest)

    def _by_the_rule(self, stopped: str) -> Verdict:
        """The verdict on all rounds.

        More calls than usual, made because of the first one alone, do not make a little noise
        in them a reason to be unclear.
        """
        series = self._series()
        verdict = final(series, stopped, self._least_calls(), at_limit=self._eats is not None)
        unasked = self._looks_clean and not self._limits.least
        if verdict.state == "unclear" and unasked and not is_large(series):
            return Verdict(state="clean", calls=verdict.calls, rounds=series)
        return verdict

    def _quiet(self) -> Verdict | None:
        """The verdict where the calls are over and nothing grows, if that is so."""
        series = self._series()
        verdict = early_verdict(series)
        if verdict is None and self._looks_clean and is_flat(joined(series)):
            return Verdict(state="clean", calls=self.calls, rounds=series)
        return verdict

    def _confirm(self, verdict: Verdict, size: int) -> Verdict:
        """Make one more round, longer than any before."""
        if self.calls + size >= self._limits.calls:
            reason = f"{verdict.calls} calls are too few to tell, {_most(self._limits.calls)}"
            return replace(verdict, state="unclear", reason=reason)
        self._call_once()  # the instruments may have been here
        self._round(size, settle=True)
        longer = self._round_at(self._rounds - 1)
        self._rounds -= 1
        return confirmed(verdict, longer)

    @property
    def _reserve(self) -> int:
        """Calls kept for a last round where all others are short."""
        few = FEWEST_CALLS <= self._limits.calls < _MANY_CALLS
        return 2 * min(next_size(self._done), SHORT_ROUND_CALLS) + 1 if few else 0

    def _least_calls(self) -> int:
        return LEAST_CALLS if self._eats is None else LEAST_ROUNDS

    def _round(self, size: int, *, settle: bool) -> None:
        """Make so many calls, and keep how far every signal moved.

        If it is the first one of the first look, none are made where one call does harm.

        Args:
            size: how many.
            settle: empty caches before each look.
        """
        # both reader in the same place, and our frame made an object before the first: the
        # call may do so by asking for its callers, and it stays one until we return
        sys._getframe()  # noqa: SLF001
        first = not settle and not self._rounds
        self._read(self._before, settle=settle, types=first)
        if first and self._does_harm():
            return
        self._calls(size, self._settle if settle else self._collect)
        self._read(self._after, settle=settle, before=self._before if settle else None)
        if not settle and self._has_grown(size):
            # blocks may be the interpreter's; it was asked to forget before the first round
            self._read(self._after, settle=False, types=True, before=self._before)
        width = len(self._after)
        at = self._rounds * (width + 1)
        self._kept[at] = size
        for index in range(width):
            moved = self._after[index] - self._before[index]
            self._kept[at + 1 + index] = moved
            self._grown[index] = self._after[index] - self._start[index]
        self._rounds += 1

    @property
    def _at_once(self) -> int:
        """Calls whose garbage needs no more pages than that of the warm-up."""
        return min(_SCREEN, max(1, self._limits.warmup))

    def _calls(self, left: int, tidy: Callable[[], None]) -> None:
        """Make so many calls, with no more garbage at a time than the warm-up leaves.

        Rounds become longer. If garbage lay about for as long as they take, or caches were
        filled for as long, each would need more pages than all before it.
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
        """Whether there are new blocks, or more of the C heap than a flat round takes."""
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
        """Why no further calls are made, if so."""
        limits = self._limits
        if self.calls >= limits.calls - self._reserve:
            return _most(limits.calls)
        if self._too_slow or self._spent() >= limits.seconds:
            return self._out_of_time()
        if self._rounds >= _MOST_ROUNDS:
            return "and no more rounds can be kept"
        for signal, grown in zip(self._signals, self._grown, strict=True):
            if grown > 0 and signal != "blocks" and grown >= self._most(signal, limits):
                self._eats = signal
                lost = format_size(grown) if signal in BYTE_SIGNALS else f"{grown} {signal}"
                return f"and {lost} are lost already"
        return ""

    def _out_of_time(self) -> str:
        """Words for the end of the time."""
        # what is left of another limit, such as a timeout's, has many digits
        seconds = self._limits.whole or self._limits.seconds
        most = f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"
        most += " s it may take"
        if self._done >= LEAST_CALLS or self._limits.whole:  # others were made before
            return f"and the {most} are over"
        each = self._spent() / max(1, self.calls)
        figure = f"{each:.0f}" if each >= 10 else f"{each:.2g}"
        return f"and at {figure} s each there is no time for enough in the {most}"

    def _affordable(self) -> int:
        """Calls that can be made before a limit is reached, as far as one can tell."""
        limits = self._limits
        left = limits.calls - self._reserve - self.calls
        per_call = self._spent() / max(1, self.calls)
        if per_call > 0:
            time_left = limits.seconds - self._spent()
            left = min(left, int(time_left / per_call))
        for signal, grown in zip(self._signals, self._grown, strict=True):
            if grown > 0 and signal != "blocks":
                per_call = max(grown / max(1, self.calls), self._next_rate(signal))
                calls = int((self._most(signal, limits) - grown) / per_call)
                # several short rounds say more than one long one
                rounds = max(1, LEAST_ROUNDS - self._rounds)
                left = min(left, max(1, calls // rounds))
        return max(1, left)

    def _next_rate(self, signal: Signal) -> float:
        """How fast a signal may grow in the next round: faster, if it did in the latest one.

        What doubles with each call would else eat all that it may in a round or two, too few
        to tell.
        """
        before, latest = (
            self._rate_at(number, signal) for number in (self._rounds - 2, self._rounds - 1)
        )
        if 0 < before < latest and self._rounds < LEAST_ROUNDS:
            return latest * latest / before
        return latest

    def _rate_at(self, number: int, signal: Signal) -> float:
        """Growth per call in a round; 0 if there was none."""
        if number < 0:
            return 0.0
        a_round = self._round_at(number)
        return (a_round.of(signal) or 0) / a_round.calls

    @staticmethod
    def _most(signal: Signal, limits: Limits) -> int:
        if signal in BYTE_SIGNALS:
            return limits.memory
        return limits.threads if signal in _THREADS else limits.files

    def _series(self) -> tuple[Round, ...]:
        return tuple(self._round_at(number) for number in range(self._rounds))

    def _round_at(self, number: int) -> Round:
        at = number * (len(self._after) + 1)
        moved = self._kept[at + 1 : at + 1 + len(self._after)]
        return Round(
            calls=self._kept[at],
            growth=tuple(zip(self._signals, moved, strict=True)),
        )


def _most(calls: int) -> str:
    """Words for the end of the calls."""
    more = f"; a leak takes {FEWEST_CALLS} to be told" if calls < FEWEST_CALLS else ""
    return f"and {calls} is the most there may be{more}"
