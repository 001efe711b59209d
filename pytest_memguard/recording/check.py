"""The leak check of one callable: repeat, judge, and look into what leaks."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.clock import Clock
from pytest_memguard.errors import LeakDetected
from pytest_memguard.leaks import ONLY_PYTEST, Blame, LeakReading, Verdict
from pytest_memguard.probes.counters import Counters
from pytest_memguard.recording.repeat import CallFailed, Limits, Repetition

if TYPE_CHECKING:
    from pytest_memguard.recording.blame import Grower


class KnownLeaks:
    """The leaks this process has explained: each is followed to its end once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Blame, Verdict, Grower | None]] = {}

    def find(self, fingerprint: str, verdict: Verdict) -> Blame | None:
        """What is known of a leak that grows at a like rate, if anything is."""
        known = self._known.get(fingerprint)
        return known[0] if known is not None and _is_alike(verdict, known[1]) else None

    def fed_by(self, call: Callable[[], None], verdict: Verdict) -> Blame | None:
        """What is known of a leak whose container a few calls feed, if there is one.

        Raises:
            CallFailed: if a call went wrong.
        """
        for blame, before, grower in self._known.values():
            if grower is not None and _is_alike(verdict, before) and grower.is_fed_by(call):
                return blame
        return None

    def add(self, blame: Blame, verdict: Verdict, grower: Grower | None) -> None:
        """Remember one that was followed to its end."""
        if blame.fingerprint:
            self._known.setdefault(blame.fingerprint, (blame, verdict, grower))


def _is_alike(verdict: Verdict, before: Verdict) -> bool:
    """Whether what grows most here grew there, about as fast."""
    if not verdict.rates:
        return False
    rate = verdict.rates[0]
    rates = {known.signal: known.per_call for known in before.rates}
    known = rates.get(rate.signal)
    if known is None:
        return False
    from pytest_memguard.recording.blame import ALIKE  # loaded already where a leak is known

    return 1 / ALIKE <= rate.per_call / known <= ALIKE


class LeakCheck:
    """Checks one callable after another.

    Args:
        blame: where to look into a leak: here, fork, none.
    """

    def __init__(self, blame: str = "here") -> None:
        self._blame = blame
        self._known = KnownLeaks()
        self._counters: dict[bool, Counters] = {}

    def counters(self, *, resources: bool = True) -> Counters:
        """What is read; made once."""
        if resources not in self._counters:
            self._counters[resources] = Counters(resources=resources)
        return self._counters[resources]

    def run(
        self,
        call: Callable[[], None],
        limits: Limits,
        *,
        resources: bool = True,
        respect_disabled: bool = True,
    ) -> LeakReading:
        """Repeat a call until there is a verdict.

        Args:
            call: makes one call; raises `CallFailed` if it went wrong.
            limits: how far to go.
            resources: whether descriptors, threads, children and tasks count.
            respect_disabled: leave garbage alone where the collector is switched off,
                because it was the callable that did so.
        """
        start = Clock.seconds()
        frozen = gc.get_freeze_count() == 0
        gc.collect(1)
        if frozen:
            gc.freeze()  # collections in between look at what is new alone
        case = _Case(call, self._blame, self._known)
        try:
            repetition = Repetition(
                call,
                self.counters(resources=resources),
                limits,
                case.on_suspicion,
                respect_disabled=respect_disabled,
            )
            verdict = repetition.verdict()
        finally:
            if frozen:
                gc.unfreeze()
        if verdict.state == "clean":
            verdict = replace(verdict, rounds=())
        blame = case.blame if verdict.state == "leaking" or case.bounded else None
        if verdict.state == "leaking" and case.claims_a_bound:
            verdict = case.look_again(verdict)
            blame = case.blame
        if verdict.state == "leaking" and blame is not None and ONLY_PYTEST in blame.notes:
            # what pytest keeps of every run is nobody's leak
            verdict = replace(verdict, state="clean", rates=(), reason=ONLY_PYTEST)
        if blame is not None and verdict.state == "leaking":
            self._known.add(blame, verdict, case.grower)
        looked = case.blame.calls if case.blame is not None else 0
        return LeakReading(
            verdict=verdict,
            blame=blame,
            calls=repetition.calls + looked,
            seconds=Clock.seconds() - start,
        )


_ENFORCED: Final = ("functools.lru_cache(maxsize=", "(maxlen=", "the cache of patterns")
"""Bounds that the interpreter keeps; what others tell of theirs may not be so."""


class _Case:
    """One callable under suspicion."""

    def __init__(self, call: Callable[[], None], where: str, known: KnownLeaks) -> None:
        self.blame: Blame | None = None
        self.grower: Grower | None = None
        self.bounded = ""
        self._call = call
        self._where = where
        self._known = known

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
        if self._known.find(blame.fingerprint, so_far) is not None:
            return so_far
        return None

    def _feeds_a_known_one(self, so_far: Verdict) -> Blame | None:
        try:
            return self._known.fed_by(self._call, so_far)
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

        try:
            blame, self.grower = look_into(self._call, verdict, fork=self._where == "fork")
        except CallFailed as failed:
            note = f"a call under the instruments failed: {failed}"
            blame = Blame(calls=0, notes=(note,))
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
    function(*args, **kwargs)
    check = LeakCheck()
    reading = check.run(call_of(function, *args, **kwargs), Limits(), respect_disabled=enabled)
    if reading.verdict.state == "leaking":
        from pytest_memguard.report.leaks import leak_text

        raise LeakDetected(leak_text(reading, ""), reading)
    return reading.verdict
