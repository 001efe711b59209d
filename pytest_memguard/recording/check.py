"""The leak check of one callable: repeats it, judges, and finds the cause of a leak."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.allocator.garbage import WholeHeap
from pytest_memguard.attribution.dead_references import only_dead_references
from pytest_memguard.attribution.leak_lines import forget_stacks
from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.clock import Clock
from pytest_memguard.errors import LeakDetected
from pytest_memguard.judge.leak import untraced
from pytest_memguard.judge.per_call import notes_on_rises, scaled_to_all_calls
from pytest_memguard.model.leaks import (
    MEMORY_SIGNALS,
    Diagnosis,
    LeakReading,
    Signal,
    Verdict,
)
from pytest_memguard.probes.counters import Counters
from pytest_memguard.probes.signal_readers import Reader, heap_free
from pytest_memguard.recording.calls import CallFailed
from pytest_memguard.recording.case import Case
from pytest_memguard.recording.diagnosed_leaks import DiagnosedLeaks
from pytest_memguard.recording.left_behind import LeftBehind
from pytest_memguard.recording.limits import Limits
from pytest_memguard.recording.progress import Progress, WatchedSignals, watched
from pytest_memguard.recording.settled_signals import MOMENT, forget_caches
from pytest_memguard.recording.slow_to_end import Patience

if TYPE_CHECKING:
    from pytest_memguard.recording.part import Part

NO_MATTER: Final = 1024
"""Bytes that the first call may keep without making a difference."""
_NEAR_MEMORY_LIMIT: Final = (
    "no cause was looked for: memory came near its limit before the leak was certain, and the "
    "calls of a search might have taken many times as much"
)
_MANY: Final = 500
"""Number of calls that show whether a list of dead weak references is cleared from time to
time."""
_DEAD: Final = (
    "what grows are weak references to objects that are gone, and their owner may clear them "
    "away now and then"
)
_FILES: Final = "{}; {} files are open by now, and tests after it need some"
_THREADS: Final = "{}; leaks that were checked have left {} threads running"
_BLIND: Final = "no signal that shows memory can be read here (blocks, C heap, USS)"


class LeakCheck:
    """Checks one callable after another.

    Args:
        where: where to look for the cause of a leak: here, fork, none.
        owners: returns the parts of the test runner that keep things for a whole session.
        watcher: is called for every call and every reading.

    Attributes:
        interrupted: what is known of a callable whose check was interrupted.
    """

    def __init__(
        self,
        where: str = "here",
        owners: Callable[[], Owners] = tuple,
        watcher: Progress | None = None,
    ) -> None:
        self._where = where
        self._owners = owners
        self._watcher = watcher
        self._known = DiagnosedLeaks()
        self._patience = Patience()
        self._left_behind = LeftBehind()
        self._heap = WholeHeap()
        self._counters: dict[bool, Counters] = {}
        self.interrupted: LeakReading | None = None
        self._free: Reader | None = None

    def counters(self, *, resources: bool = True) -> Counters:
        """Return the readers of the signals; made once."""
        if resources not in self._counters:
            self._counters[resources] = Counters(resources=resources)
        return self._counters[resources]

    def heap(self) -> int:
        """Return the bytes in use on the C heap; 0 if they cannot be read."""
        read = self.counters().heap
        return 0 if read is None else read()

    def _heap_free(self) -> int:
        """Return the free bytes of the C heap."""
        if self._free is None:
            self._free = heap_free()
        return self._free()

    def kept_since(self, heap: int, *, collect: bool) -> int:
        """Return the bytes by which the C heap has grown.

        Args:
            heap: the bytes before.
            collect: whether garbage may be collected, which is done if it matters.
        """
        kept = self.heap() - heap
        if collect and kept > NO_MATTER:
            time.sleep(MOMENT)
            forget_caches()
            gc.collect(1)  # most of what a call leaves is young; a large heap takes long
            kept = self.heap() - heap
        if collect and kept > NO_MATTER:
            gc.collect()
            kept = self.heap() - heap
        return max(0, kept)

    def close(self) -> None:
        """Let the interpreter collect garbage as usual: there are no more checks."""
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
            call: makes one call; raises `CallFailed` if it failed.
            limits: how far to go.
            resources: whether descriptors, threads, child processes and tasks count.
            respect_disabled: whether to collect no garbage if the collector is disabled,
                because the callable has disabled it.
            kept: `kept_since` of the very first call, which was made elsewhere.
        """
        start = Clock.seconds()
        frozen = gc.get_freeze_count() == 0
        self._heap.collect()
        if frozen:
            gc.freeze()  # collections in between traverse new objects alone
        reader = WatchedSignals(
            self.counters(resources=resources),
            respect_disabled=respect_disabled,
            frozen=frozen,
            watcher=self._watcher,
        )
        call = watched(call, self._watcher)
        free = self._heap_free()
        count = self.counters(resources=resources).open_files
        limits = self._left_behind.limited(limits, count)
        case = Case(
            call, self._where, self._known, reader, limits, self._owners, kept, self._patience
        )
        try:
            verdict = self._verdict(case)
        finally:
            forget_stacks()
            if frozen:
                gc.unfreeze()
        if verdict.state in {"leaking", "undecided"}:
            verdict = self._with_left_behind(verdict, case, reader, limits)
        if verdict.state == "clean":
            verdict = _clean(verdict, reader.signals)
        diagnosis = case.diagnosis if verdict.state == "leaking" or case.filling else None
        if verdict.state == "leaking" and diagnosis is None and self._where != "none":
            diagnosis = Diagnosis(calls=0, notes=(_NEAR_MEMORY_LIMIT,))
        if verdict.state == "leaking" and diagnosis is not None:
            verdict = _doubted(call, verdict, diagnosis)
            diagnosis = diagnosis if verdict.state == "leaking" else None
        reading = LeakReading(
            verdict=verdict,
            diagnosis=diagnosis,
            calls=case.calls,
            seconds=Clock.seconds() - start,
            kept=case.kept,
        )
        if verdict.state != "leaking":
            return reading
        if not case.parts and diagnosis is not None:
            self._known.add(diagnosis, verdict, case.growing_container)
            verdict, diagnosis = scaled_to_all_calls(
                verdict, diagnosis, self._heap_free() - free
            )
            reading = replace(reading, verdict=verdict, diagnosis=diagnosis)
        for part in case.parts:
            self._known.add(part.diagnosis, part.verdict, part.growing_container)
        return _divided(reading, case.parts, self._heap_free() - free)

    def _verdict(self, case: Case) -> Verdict:
        """Return the verdict; keep what is known if the run is interrupted."""
        start = Clock.seconds()
        try:
            return case.verdict()
        except BaseException:
            self.interrupted = LeakReading(
                verdict=case.so_far(),
                diagnosis=case.diagnosis,
                calls=case.calls,
                seconds=Clock.seconds() - start,
            )
            raise

    def _with_left_behind(
        self, verdict: Verdict, case: Case, reader: WatchedSignals, limits: Limits
    ) -> Verdict:
        """Note what a check leaves behind; add the reason for a low limit to the verdict."""
        row = reader.row()
        reader.read(row, settle=False)
        now = dict(zip(reader.signals, row, strict=True))
        grown = {signal: now[signal] - value for signal, value in case.start.items()}
        self._left_behind.add(grown)
        if verdict.state == "undecided" and grown.get("open files", 0) >= limits.files:
            reason = _FILES.format(verdict.reason, now["open files"])
            return replace(verdict, reason=reason)
        if verdict.state == "undecided" and grown.get("native threads", 0) >= limits.threads:
            reason = _THREADS.format(verdict.reason, self._left_behind.threads)
            return replace(verdict, reason=reason)
        return verdict


def _clean(verdict: Verdict, signals: Sequence[Signal]) -> Verdict:
    """Return a verdict of clean, or undecided if no signal of memory could be read."""
    verdict = replace(verdict, rounds=())
    if MEMORY_SIGNALS.isdisjoint(signals):
        return replace(verdict, state="undecided", reason=_BLIND)
    return verdict


def _divided(reading: LeakReading, parts: Sequence[Part], freed: int) -> LeakReading:
    """Return the reading of the first leak, with the others."""
    if not parts:
        return reading
    alone = len(parts) == 1
    (verdict, diagnosis), *others = (_accounted(part, freed, alone=alone) for part in parts)
    more = tuple(
        LeakReading(verdict=replace(verdict, rounds=()), diagnosis=diagnosis)
        for verdict, diagnosis in others
    )
    if others:
        verdict = replace(verdict, rounds=reading.verdict.rounds)
        notes = (*diagnosis.notes, *notes_on_rises(reading.verdict))
        diagnosis = replace(diagnosis, notes=notes)
    return replace(reading, verdict=verdict, diagnosis=diagnosis, more=more)


def _accounted(part: Part, freed: int, *, alone: bool) -> tuple[Verdict, Diagnosis]:
    """Return a part with numbers for all calls; the rounds belong to all parts together."""
    verdict = part.verdict if alone else replace(part.verdict, rounds=())
    return scaled_to_all_calls(verdict, part.diagnosis, freed)


def _doubted(call: Callable[[], None], verdict: Verdict, diagnosis: Diagnosis) -> Verdict:
    """Return a verdict of leaking, or undecided if the cause does not confirm it."""
    if _found_nothing(diagnosis):
        return untraced(verdict)
    try:
        doubtful = verdict.calls < _MANY and only_dead_references(call, verdict, diagnosis)
    except CallFailed:
        doubtful = False
    return replace(verdict, state="undecided", reason=_DEAD) if doubtful else verdict


def _found_nothing(diagnosis: Diagnosis) -> bool:
    """Return whether calls under all trackers showed nothing that stays."""
    return bool(diagnosis.calls) and not (
        diagnosis.lines or diagnosis.types or diagnosis.path or diagnosis.notes
    )


def call_of(
    function: Callable[..., object], /, *args: object, **kwargs: object
) -> Callable[[], None]:
    """Return a function with its arguments as a call of a check."""

    def call() -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            msg = f"{type(error).__name__}: {error}"
            raise CallFailed(msg) from error

    return call


def check_leaks(function: Callable[..., object], /, *args: object, **kwargs: object) -> Verdict:
    """Call a function repeatedly, and fail if it keeps more with every call.

    An exception in the first call is the function's own and is raised as it is.

    Args:
        function: the function to call.
        args: its arguments.
        kwargs: its named arguments.

    Returns:
        The verdict, unless it is leaking.

    Raises:
        LeakDetected: if the function leaks.
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
        from pytest_memguard.report.leak_text import leak_text

        raise LeakDetected(leak_text(reading), reading)
    return reading.verdict
