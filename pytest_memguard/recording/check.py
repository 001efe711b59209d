"""The leak check of one callable: repeat, judge, and look into what leaks."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.clock import Clock
from pytest_memguard.errors import LeakDetected
from pytest_memguard.judge.leak import untraced
from pytest_memguard.judge.per_call import accounted
from pytest_memguard.leaks import (
    MEMORY_SIGNALS,
    ONLY_PYTEST,
    Blame,
    LeakReading,
    Verdict,
)
from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording.garbage import WholeHeap
from pytest_memguard.recording.opcode_caches import OpcodeCaches
from pytest_memguard.recording.progress import Progress, WatchedLooks, watched
from pytest_memguard.recording.repeat import CallFailed, Limits, Repetition
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.recording.blame import Grower


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explained:
    """A leak that was followed to its end."""

    blame: Blame
    """Who did it."""
    verdict: Verdict
    """How it grew."""
    grower: Grower | None
    """The container that grows with it, if there is one."""


class KnownLeaks:
    """The leaks this process has explained: each is followed to its end once."""

    def __init__(self) -> None:
        self._known: dict[str, _Explained] = {}

    def has(self, fingerprint: str, verdict: Verdict) -> bool:
        """Whether a leak of this name that grows at a like rate is known."""
        known = self._known.get(fingerprint)
        return known is not None and _is_alike(_ratio(verdict, known.verdict))

    def fed_by(
        self, call: Callable[[], None], verdict: Verdict, collect: Callable[[], None]
    ) -> Blame | None:
        """What is known of a leak whose container a few calls feed, if there is one.

        Args:
            call: makes one call.
            verdict: how it grows.
            collect: collects garbage, if it is to be collected.

        Returns:
            Who did it, with the numbers of the leak that is known at the rate of this one.

        Raises:
            CallFailed: if a call went wrong.
        """
        for known in self._known.values():
            ratio = _ratio(verdict, known.verdict)
            if known.grower is None or not _is_alike(ratio):
                continue
            if known.grower.is_fed_by(call, collect):
                return _at_rate(known.blame, ratio)
        return None

    def add(self, blame: Blame, verdict: Verdict, grower: Grower | None) -> None:
        """Remember one that was followed to its end."""
        if blame.fingerprint:
            explained = _Explained(blame=blame, verdict=verdict, grower=grower)
            self._known.setdefault(blame.fingerprint, explained)


def _ratio(verdict: Verdict, before: Verdict) -> float:
    """How many times as fast as there what grows most here grows; 0 if that did not grow."""
    if not verdict.rates:
        return 0.0
    rate = verdict.rates[0]
    rates = {known.signal: known.per_call for known in before.rates}
    known = rates.get(rate.signal, 0.0)
    return rate.per_call / known if known > 0 else 0.0


def _is_alike(ratio: float) -> bool:
    from pytest_memguard.recording.blame import ALIKE  # loaded already where a leak is known

    return 1 / ALIKE <= ratio <= ALIKE


def _at_rate(blame: Blame, ratio: float) -> Blame:
    """The same with lines that keep so many times as much."""
    lines = tuple(
        replace(
            line,
            count=round(ratio * line.count),
            size=round(ratio * line.size),
            of_python=round(ratio * line.of_python),
            small=round(ratio * line.small),
        )
        for line in blame.lines
    )
    types = tuple(
        replace(growth, count=round(ratio * growth.count), size=round(ratio * growth.size))
        for growth in blame.types
    )
    return replace(blame, lines=lines, types=types)


NO_MATTER: Final = 1024
"""Bytes that the first call may keep without that making a difference."""
_INTO_IT: Final = 1 / 4
"""Share of the time of a check that may go into looking into a leak."""
_BLIND: Final = "no signal that shows memory can be read here (blocks, C heap, USS)"


class LeakCheck:
    """Checks one callable after another.

    Args:
        blame: where to look into a leak: here, fork, none.
        watcher: is told of every call and reading.
    """

    def __init__(self, blame: str = "here", watcher: Progress | None = None) -> None:
        self._blame = blame
        self._watcher = watcher
        self._known = KnownLeaks()
        self._heap = WholeHeap()
        self._opcode_caches = OpcodeCaches()
        self._counters: dict[bool, Counters] = {}

    def counters(self, *, resources: bool = True) -> Counters:
        """What is read; made once."""
        if resources not in self._counters:
            self._counters[resources] = Counters(resources=resources)
        return self._counters[resources]

    def heap(self) -> int:
        """Bytes of the C heap now, or nought where they cannot be read."""
        read = self.counters().heap
        return 0 if read is None else read()

    def kept_since(self, heap: int, *, collect: bool) -> int:
        """Bytes by which the C heap has grown.

        Args:
            heap: what it was.
            collect: whether garbage may be collected, which is done if it matters.
        """
        kept = self.heap() - heap
        if collect and kept > NO_MATTER:
            gc.collect()
            kept = self.heap() - heap
        return max(0, kept)

    def close(self) -> None:
        """Leave garbage to the interpreter again; there are no more checks."""
        self._heap.close()

    def run(
        self,
        call: Callable[[], None],
        limits: Limits,
        *,
        resources: bool = True,
        respect_disabled: bool = True,
        kept: int = 0,
    ) -> LeakReading:
        """Repeat a call until there is a verdict.

        Args:
            call: makes one call; raises `CallFailed` if it went wrong.
            limits: how far to go.
            resources: whether descriptors, threads, children and tasks count.
            respect_disabled: leave garbage alone where the collector is switched off,
                because it was the callable that did so.
            kept: `kept_since` of the very first call, which was made elsewhere.
        """
        start = Clock.seconds()
        frozen = gc.get_freeze_count() == 0
        self._heap.collect()
        self._opcode_caches.forgo()
        if frozen:
            gc.freeze()  # collections in between look at what is new alone
        looks = WatchedLooks(
            self.counters(resources=resources), respect_disabled=respect_disabled
        )
        looks.watcher = self._watcher
        call = watched(call, self._watcher)
        seconds = _INTO_IT * limits.seconds
        case = _Case(call, self._blame, self._known, looks.collect, seconds)
        try:
            repetition = Repetition(call, looks, limits, case.on_suspicion, kept)
            verdict = repetition.verdict()
        finally:
            if frozen:
                gc.unfreeze()
        if verdict.state == "clean":
            verdict = replace(verdict, rounds=())
            if MEMORY_SIGNALS.isdisjoint(looks.signals):
                verdict = replace(verdict, state="unclear", reason=_BLIND)
        blame = case.blame if verdict.state == "leaking" or case.bounded else None
        if verdict.state == "leaking" and blame is None and self._blame != "none":
            blame = Blame(calls=0, notes=(_ATE_TOO_MUCH,))
        if verdict.state == "leaking" and case.claims_a_bound:
            verdict = case.look_again(verdict)
            blame = case.blame
        if verdict.state == "leaking" and blame is not None and ONLY_PYTEST in blame.notes:
            # what pytest keeps of every run is nobody's leak
            verdict = replace(verdict, state="clean", rates=(), reason=ONLY_PYTEST)
        if verdict.state == "leaking" and blame is not None and _found_nothing(blame):
            verdict = untraced(verdict)
            blame = blame if verdict.state == "leaking" else None
        if blame is not None and verdict.state == "leaking":
            self._known.add(blame, verdict, case.grower)
            verdict, blame = accounted(verdict, blame)
        return LeakReading(
            verdict=verdict,
            blame=blame,
            calls=repetition.calls + case.calls,
            seconds=Clock.seconds() - start,
        )


def _found_nothing(blame: Blame) -> bool:
    """Whether calls under all instruments showed nothing that stays."""
    return bool(blame.calls) and not (blame.lines or blame.types or blame.path or blame.notes)


_ATE_TOO_MUCH: Final = (
    "it ate all that it may before it was certain that it leaks, and some more calls to look "
    "into it may have eaten many times that"
)
_ENFORCED: Final = ("functools.lru_cache(maxsize=", "(maxlen=", "the cache of patterns")
"""Bounds that the interpreter keeps; what others tell of theirs may not be so."""


class _Case:
    """One callable under suspicion."""

    def __init__(
        self,
        call: Callable[[], None],
        where: str,
        known: KnownLeaks,
        collect: Callable[[], None],
        seconds: float,
    ) -> None:
        self.blame: Blame | None = None
        self.grower: Grower | None = None
        self.bounded = ""
        self.calls = 0
        """Made to look into it."""
        self._uncounted = call
        self._where = where
        self._known = known
        self._collect = collect
        self._seconds = seconds

    def _call(self) -> None:
        self.calls += 1
        self._uncounted()

    def on_suspicion(self, so_far: Verdict) -> Verdict | None:
        """Look into it; a verdict if that settles it."""
        if self._where == "none":
            return None
        known = self._feeds_a_known_one(so_far)
        if known is not None:
            self.blame = known
            return so_far
        blame = self._look(so_far)
        bounded = self._bound()
        if any(mark in bounded for mark in _ENFORCED):
            return self._filling(so_far, bounded)
        if self._known.has(blame.fingerprint, so_far):
            return so_far
        return None

    def _feeds_a_known_one(self, so_far: Verdict) -> Blame | None:
        try:
            blame = self._known.fed_by(self._call, so_far, self._collect)
            if blame is None:
                return None
            from pytest_memguard.recording.blame import with_own_sizes  # loaded by then

            return with_own_sizes(blame, self._call, self._collect)
        except CallFailed:
            return None  # the look to come says so

    @property
    def claims_a_bound(self) -> bool:
        """Whether what holds the growth names a limit that nobody but itself keeps."""
        return bool(self._bound())

    def look_again(self, verdict: Verdict) -> Verdict:
        """Look once more at the end: a cache above its limit by then does not keep it."""
        self._look(verdict)
        bounded = self._bound()
        return self._filling(verdict, bounded) if bounded else verdict

    def _look(self, verdict: Verdict) -> Blame:
        from pytest_memguard.recording.blame import look_into  # seldom needed

        fork = self._where == "fork"
        try:
            blame, self.grower = look_into(
                self._call, verdict, self._collect, fork=fork, seconds=self._seconds
            )
        except CallFailed as failed:
            note = f"a call under the instruments failed: {failed}"
            blame = Blame(calls=0, notes=(note,))
        if fork:  # the child's count is lost with it
            self.calls += blame.calls
        self.blame = blame
        return blame

    def _bound(self) -> str:
        path = self.blame.path if self.blame is not None else None
        return path.bounded if path is not None else ""

    def _filling(self, verdict: Verdict, bounded: str) -> Verdict:
        self.bounded = bounded
        reason = f"a cache is filling: {bounded}"
        return replace(verdict, state="settling", rates=(), reason=reason)


def call_of(
    function: Callable[..., object], /, *args: object, **kwargs: object
) -> Callable[[], None]:
    """A function and its arguments as one call of a check."""

    def call() -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            msg = f"{type(error).__name__}: {error}"
            raise CallFailed(msg) from error

    return call


def check_leaks(function: Callable[..., object], /, *args: object, **kwargs: object) -> Verdict:
    """Call a function again and again, and fail if it keeps more with every call.

    The first call counts as the function's own: what it raises is passed on.

    Args:
        function: what to call.
        args: its arguments.
        kwargs: its named arguments.

    Returns:
        The verdict, unless it is leaking.

    Raises:
        LeakDetected: if it leaks.
    """
    enabled = gc.isenabled()
    check = LeakCheck()
    heap = check.heap()
    function(*args, **kwargs)
    kept = check.kept_since(heap, collect=enabled)
    call = call_of(function, *args, **kwargs)
    reading = check.run(call, Limits(), respect_disabled=enabled, kept=kept)
    check.close()
    if reading.verdict.state == "leaking":
        from pytest_memguard.report.leaks import leak_text

        raise LeakDetected(leak_text(reading, ""), reading)
    return reading.verdict
