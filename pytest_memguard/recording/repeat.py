"""Calls something again and again, reads what leaks show in, and asks the judge."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pytest_memguard.clock import Clock
from pytest_memguard.judge.leak import (
    LEAST_CALLS,
    LEAST_ROUNDS,
    SHORT_ROUND,
    conclude,
    confirmed,
    final,
    next_size,
    passes,
)
from pytest_memguard.leaks import BYTE_SIGNALS, Round, Signal, Verdict
from pytest_memguard.probes.counters import Counters
from pytest_memguard.units import MIB, format_size

WARMUP: Final = 2
"""Calls nobody reads, unless asked otherwise."""
_SCREEN: Final = 4
_MOST_ROUNDS: Final = 200
_HARMLESS: Final = 32
"""The part of a limit that one call may take before every call is looked at."""
_FEW_CALLS: Final = 40
_MANY_CALLS: Final = 120
"""With fewer calls than the one nothing is called leaking; with the other, the last rounds are
not short."""
_PATIENCE: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_THREADS: Final[frozenset[Signal]] = frozenset({"Python threads", "native threads"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a check goes."""

    calls: int = 2000
    """Calls at most."""
    seconds: float = 20.0
    """Seconds at most."""
    warmup: int = WARMUP
    """Calls nobody reads."""
    memory: int = 256 * MIB
    """Bytes a leak may eat."""
    files: int = 200
    """Descriptors, children or tasks it may eat."""
    threads: int = 50
    """Threads it may eat."""


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
        counters: what to read.
        limits: how far to go.
        on_suspicion: asked once, with the verdict so far, when something has grown steadily
            for a while; a verdict it returns ends the check.
        respect_disabled: leave garbage alone where the collector is switched off, because
            it was the callable that did so.

    Attributes:
        calls: made so far.
    """

    def __init__(
        self,
        call: Callable[[], None],
        counters: Counters,
        limits: Limits,
        on_suspicion: Suspicion | None = None,
        *,
        respect_disabled: bool = True,
    ) -> None:
        self._respect_disabled = respect_disabled
        self._call = call
        self._counters = counters
        self._limits = limits
        self._on_suspicion = on_suspicion
        self._now = Clock.seconds
        self._start, self._before, self._after = (counters.row() for _ in range(3))
        # room for all the numbers there can be, so that keeping them is no growth
        width = len(counters.signals)
        self._kept = [0] * _MOST_ROUNDS * (width + 1)
        self._rounds = 0
        self.calls = 0
        self._started = 0.0
        self._grown = counters.row()
        self._impatient = False
        self._disturbed = self._harmed = False

    def verdict(self) -> Verdict:
        """Repeat the call as often as it takes."""
        self._started = self._now()
        self._look(self._start, settle=False)
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
        for _ in range(self._limits.warmup):
            self._call_once()
            self._look(self._after, settle=False)
            if self._does_harm():
                return None
        for number in range(2):
            if self._stopped():
                return None
            if number == 0:
                self._look(self._before, settle=False)
            else:
                self._before[:] = self._after
            self._round(_SCREEN, settle=False)
            if not passes(self._series()):
                self._rounds = 0
                return None
        return Verdict(state="clean", calls=self.calls, rounds=self._series())

    def _does_harm(self) -> bool:
        """Whether a single call has taken so much that every further one must be looked at."""
        limits = self._limits
        for index, signal in enumerate(self._counters.signals):
            grown = self._after[index] - self._start[index]
            self._grown[index] = grown
            if signal != "blocks" and grown > self._most(signal, limits) / _HARMLESS:
                return True
        return False

    def _try(self) -> Verdict:
        done = 0
        self._look(self._before, settle=True)
        while True:
            if self._disturbed:
                # what the instruments leave behind goes with the first call after them
                self._disturbed = False
                self._call_once()
                self._look(self._before, settle=True)
            stopped = self._stopped()
            if stopped:
                return self._final(stopped)
            size = min(next_size(done), self._affordable())
            self._round(size, settle=True)
            self._look(self._before, settle=True)  # not in there: its locals would count
            done += size
            verdict = conclude(self._series()) or self._ask()
            if verdict is not None:
                return verdict

    def _ask(self) -> Verdict | None:
        """Ask once whether it is known who does it."""
        if self._on_suspicion is None:
            return None
        so_far = final(self._series(), "", self._least_calls())
        if so_far.state != "leaking":
            return None
        ask, self._on_suspicion = self._on_suspicion, None
        verdict = ask(so_far)
        self._disturbed = True
        return verdict

    def _final(self, stopped: str) -> Verdict:
        verdict = self._ask() or final(self._series(), stopped, self._least_calls())
        longest = max((a_round.calls for a_round in verdict.rounds), default=0)
        if verdict.state != "leaking" or self._harmed or longest > SHORT_ROUND:
            return verdict
        return self._confirm(verdict, 2 * longest)

    def _confirm(self, verdict: Verdict, size: int) -> Verdict:
        """Make one more round, longer than any before."""
        self._call_once()  # the instruments may have been here
        self._look(self._before, settle=True)
        self._round(size, settle=True)
        longer = self._round_at(self._rounds - 1)
        self._rounds -= 1
        return confirmed(verdict, longer)

    @property
    def _reserve(self) -> int:
        """Calls kept for a last round where all others are short."""
        few = _FEW_CALLS <= self._limits.calls < _MANY_CALLS
        return 2 * SHORT_ROUND + 1 if few else 0

    def _least_calls(self) -> int:
        return LEAST_ROUNDS if self._harmed else LEAST_CALLS

    def _round(self, size: int, *, settle: bool) -> None:
        """Make so many calls, and keep how far every signal moved."""
        for _ in range(size):
            self._call_once()
        self._look(self._after, settle=settle, wait=settle)
        width = len(self._after)
        at = self._rounds * (width + 1)
        self._kept[at] = size
        for index in range(width):
            moved = self._after[index] - self._before[index]
            self._kept[at + 1 + index] = moved
            self._grown[index] = self._after[index] - self._start[index]
        self._rounds += 1

    def _call_once(self) -> None:
        self._call()
        self.calls += 1

    def _look(self, row: Any, *, settle: bool, wait: bool = False) -> None:
        if settle:
            forget_caches()
        self._collect()
        self._counters.read(row)
        if wait and not self._impatient:
            self._wait(row)

    def _collect(self) -> None:
        if gc.isenabled() or not self._respect_disabled:
            gc.collect()

    def _wait(self, row: Any) -> None:
        """Give resources that are on their way out a moment, as long as that helps."""
        columns = self._counters.resources
        for seconds in _PATIENCE:
            if all(row[i] <= self._before[i] for i in columns):
                return
            time.sleep(seconds)
            self._collect()
            self._counters.read(row)
        self._impatient = any(row[i] > self._before[i] for i in columns)

    def _stopped(self) -> str:
        """Why no further calls are made, if so."""
        limits = self._limits
        if self.calls >= limits.calls - self._reserve:
            return f"and {limits.calls} is the most there may be"
        if self._now() - self._started >= limits.seconds:
            return f"and the {limits.seconds:g} s it may take are over"
        if self._rounds >= _MOST_ROUNDS:
            return "and no more rounds can be kept"
        for signal, grown in zip(self._counters.signals, self._grown, strict=True):
            if signal != "blocks" and grown >= self._most(signal, limits):
                self._harmed = True
                lost = format_size(grown) if signal in BYTE_SIGNALS else f"{grown} {signal}"
                return f"and {lost} are lost already"
        return ""

    def _affordable(self) -> int:
        """Calls that can be made before a limit is reached, as far as one can tell."""
        limits = self._limits
        left = limits.calls - self._reserve - self.calls
        per_call = (self._now() - self._started) / max(1, self.calls)
        if per_call > 0:
            time_left = limits.seconds - (self._now() - self._started)
            left = min(left, int(time_left / per_call))
        for signal, grown in zip(self._counters.signals, self._grown, strict=True):
            if grown > 0 and signal != "blocks":
                per_call = grown / max(1, self.calls)
                calls = int((self._most(signal, limits) - grown) / per_call)
                # several short rounds say more than one long one
                rounds = max(1, LEAST_ROUNDS - self._rounds)
                left = min(left, max(1, calls // rounds))
        return max(1, left)

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
            growth=tuple(zip(self._counters.signals, moved, strict=True)),
        )


def forget_caches() -> None:
    """Empty the caches of the standard library that fill with use.

    The list is a part of what CPython's own leak hunt empties (test.libregrtest.utils,
    clear_caches): those that cost nothing but time when they are empty. linecache is left
    alone, since it also keeps sources that exist nowhere else.
    """
    for module, name, clear in _CACHES:
        loaded = sys.modules.get(module)
        cache = getattr(loaded, name, None)
        if cache is not None:
            getattr(cache, clear)() if clear else cache()
    for clear in getattr(sys.modules.get("typing"), "_cleanups", ()):
        clear()
    (getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache)()  # noqa: SLF001


_CACHES: Final = (
    ("re", "purge", ""),
    ("struct", "_clearcache", ""),
    ("_strptime", "_regex_cache", "clear"),
    ("urllib.parse", "clear_cache", ""),
    ("fnmatch", "_compile_pattern", "cache_clear"),
    ("filecmp", "_cache", "clear"),
)
