"""Checks one suspected callable: repeats it, divides its growth by holder, judges the rest."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.attribution.values import length_of
from pytest_memguard.clock import Clock
from pytest_memguard.model.leaks import (
    Diagnosis,
    Kept,
    Signal,
    Verdict,
)
from pytest_memguard.recording.cache_limit import keeps_limit
from pytest_memguard.recording.calls import CallFailed, OutOfTime, TimedCall
from pytest_memguard.recording.diagnosed_leaks import DiagnosedLeaks
from pytest_memguard.recording.excluded_causes import SMALL_PART, ExcludedCauses
from pytest_memguard.recording.explanation import Explanation, failure_note
from pytest_memguard.recording.limits import FEWEST_CALLS, Limits
from pytest_memguard.recording.repeat import Repetition
from pytest_memguard.recording.settled_signals import SettledSignals
from pytest_memguard.recording.signal_reading import SignalReading
from pytest_memguard.recording.slow_to_end import Patience

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause
    from pytest_memguard.recording.diagnosis import GrowingContainer
    from pytest_memguard.recording.part import Part

_MOST_TURNS: Final = 3
_LEAST_CALLS: Final = 2 * FEWEST_CALLS
"""Fewest further calls once some growth has turned out to be no leak."""
_INTO_IT: Final = 1 / 4
"""Share of the check's time that one search for the cause of a leak may take."""
_SECONDS_PER_OBJECT: Final = 3e-6
"""Seconds that a diagnosis takes per object of the heap on a busy machine; on an idle one, 1.3
us were measured."""
_BEFORE: Final = 1 / 2
"""Share of the check's time before which no diagnosis starts, if one would take more than its
share."""
_AT_MOST: Final = 1 / 2
"""Share of the check's time after which no more calls are made for a diagnosis."""
_LEAST_SECONDS: Final = 2.0
"""Fewest seconds that must be left until the test's timeout for a diagnosis."""
_TIMEOUT: Final = "not explained: the timeout of the test left {:.1f} s for it"
_MANY_CALLS: Final = 500
"""Calls that growth of the C heap must last, if no block of it was found to stay."""
_SLACK: Final = (
    "the C heap grew by {} bytes per call, but no block of it was found to stay, as with the "
    f"allocator's own slack; it takes {_MANY_CALLS} calls to tell, and so many could not be "
    "made"
)
_UNSEEN: Final = (
    "a cache is filling: {}; there was no time to see whether anything grows beside it"
)
_DIVIDED_IN_PART: Final = (
    "there was too little time to look for all holders: the growth may be divided otherwise "
    "the next time"
)
_INTERRUPTED: Final = "the run was interrupted"
_LONGER: Final = 3
"""How many times as many calls show whether a container keeps growing."""
_ACCOUNTS: Final = 0.25
"""Share of the growth of the C heap from which on the blocks that stay account for it."""


class Case:
    """Repeats one callable, and reads what grows.

    If a cache fills or the test runner keeps something, the callable is repeated once more, and
    what these take is subtracted from all readings. So a verdict on one holder does not end the
    check: whatever grows beside it is judged like any other growth.

    Args:
        call: makes one call.
        where: where to look for the cause of a leak: here, fork or none.
        known: leaks that this run has diagnosed already.
        reader: reads the signals.
        limits: the limits of the check.
        owners: finds the parts of the test runner, as for `retention.Search`.
        first: bytes that the very first call kept, which was made before.
        patience: how long this run may wait for threads and the like to end.

    Attributes:
        calls: number of calls made in all.
        parts: the leaks, each with what it keeps.
        kept: what the test runner keeps.
        filling: description of the caches that fill.
        start: the readings before the first call.
    """

    def __init__(
        self,
        call: Callable[[], None],
        where: str,
        known: DiagnosedLeaks,
        reader: SettledSignals,
        limits: Limits,
        owners: Callable[[], Owners],
        first: int = 0,
        patience: Patience | None = None,
    ) -> None:
        self.calls = 0
        self.parts: tuple[Part, ...] = ()
        self.kept: tuple[Kept, ...] = ()
        self.filling = ""
        self.start: dict[Signal, int] = {}
        self._uncounted = call
        self._where = where
        self._known = known
        self._reader = reader
        self._limits = limits
        self._owners = owners
        self._first = first
        self._patience = patience or Patience()
        self._explanation = Explanation()
        self._excluded = ExcludedCauses(lambda: self.calls)
        self._leaks: list[Cause] = []
        self._divided_at = 0
        self._lengths: dict[int, int] = {}
        self._length = 0
        self._turns = 0
        self._heap_size = -1
        self._started = 0.0
        self._goes_on = False
        self._least = limits.least
        self._is_undivided = False
        self._knows_causes = False
        self._in_doubt: Verdict | None = None
        self._suspected: Verdict | None = None
        self._timed = TimedCall(self._call, _AT_MOST * limits.seconds)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The lines and the holder, if they were looked for."""
        return self._explanation.diagnosis

    @property
    def growing_container(self) -> GrowingContainer | None:
        """What holds the objects, if it grows."""
        return self._explanation.growing_container

    def verdict(self) -> Verdict:
        """Repeat the call until there is a verdict on all growth that is not left out."""
        self._started = Clock.seconds()
        reader: SignalReading = self._reader
        limits = self._limits
        while True:
            self._goes_on = False
            self._turns += 1
            before = self.calls
            first = self._first if self._turns == 1 else 0
            repetition = Repetition(
                self._call,
                reader,
                limits,
                self._on_suspicion,
                first,
                self._patience,
                self._feeds_a_known_one if self._where != "none" else None,
                self._not_before,
            )
            verdict = repetition.verdict()
            self.start = self.start or repetition.start
            self._leave_out_renewed(verdict)
            self._ask_for_more(verdict)
            if not self._goes_on:
                return self._concluded(verdict)
            reader = self._excluded.subtracted_from(self._reader)
            calls = limits.calls - (self.calls - before)
            limits = replace(
                self._limits,
                calls=max(calls, _LEAST_CALLS),
                seconds=max(0.0, self._limits.seconds - (Clock.seconds() - self._started)),
                whole=self._limits.whole or self._limits.seconds,
                warmup=1,
                least=self._least,
            )

    def so_far(self) -> Verdict:
        """Return the verdict as far as it is known, if the check is interrupted."""
        if self._suspected is not None:
            return self._suspected
        return Verdict(state="undecided", calls=self.calls, reason=_INTERRUPTED)

    def _call(self) -> None:
        self.calls += 1
        self._uncounted()

    def _on_suspicion(self, so_far: Verdict) -> Verdict | None:
        """Look for the cause of growth, and return a verdict if what is found decides it."""
        self._suspected = so_far
        if self._where == "none":
            return None
        if self._has_no_time():
            return None
        try:
            return self._explain(so_far)
        except Exception as error:  # noqa: BLE001  an error of ours fails no test of the user's
            self._explanation.broke(error)
            return None

    def _has_no_time(self) -> bool:
        """Return whether too little time is left until the test's timeout; note it if so."""
        left = self._limits.end - Clock.seconds()
        if left < _LEAST_SECONDS:
            self._explanation.add_note(_TIMEOUT.format(max(0.0, left)))
            return True
        return False

    def _explain(self, so_far: Verdict) -> Verdict | None:
        diagnosis = self._diagnose(so_far)
        if self._where == "fork" and not diagnosis.calls:
            return None  # what ended the child would end this process
        settled = self._divide(so_far)
        if settled is not None:
            return settled
        return so_far if self._needs_no_more(diagnosis, so_far) else None

    def _needs_no_more(self, diagnosis: Diagnosis, so_far: Verdict) -> bool:
        """Return whether more calls could show nothing new about the only leak.

        That is so if this run has checked the same leak to the end before, or if its holder is
        of a kind that never evicts anything.
        """
        if len(self._leaks) > 1 or self._excluded:
            return False
        never_ends = diagnosis.path is not None and diagnosis.path.never_evicts
        return never_ends or self._known.has(diagnosis.fingerprint, so_far)

    def _not_before(self) -> float:
        """Return the seconds of the check before which no leak is diagnosed.

        A diagnosis takes long if the heap is large. Without this, the verdict might rest on the
        few calls made before it, because no time would be left for more.
        """
        if self._heap_size < 0:
            self._heap_size = gc.get_freeze_count()  # the interpreter counts one by one
        seconds = self._limits.seconds
        takes = _SECONDS_PER_OBJECT * self._heap_size
        return _BEFORE * seconds if takes > _INTO_IT * seconds else 0.0

    def _feeds_a_known_one(self, so_far: Verdict) -> Verdict | None:
        """Return a verdict if each call adds to a container that is known to leak."""
        if self._has_no_time():
            return None
        try:
            diagnosis = self._known.fed_by(self._timed, so_far, self._reader.collect)
            if diagnosis is None:
                return None
            from pytest_memguard.recording.diagnosis import with_own_sizes  # loaded by then

            sized = with_own_sizes(diagnosis, self._timed, self._reader.collect)
            self._explanation.found(sized)
        except CallFailed:
            return None  # the explanation to come reports it
        except Exception as error:  # noqa: BLE001  as above
            self._explanation.broke(error)
            return None
        return so_far

    def _diagnose(self, verdict: Verdict) -> Diagnosis:
        from pytest_memguard.recording.diagnosis import diagnose  # rarely needed

        fork = self._where == "fork"
        try:
            diagnosis, container = diagnose(
                self._timed,
                verdict,
                self._reader.settle,
                fork=fork,
                seconds=_INTO_IT * self._limits.seconds,
                owners=self._owners(),
            )
        except CallFailed as failed:
            diagnosis, container = Diagnosis(calls=0, notes=(failure_note(failed),)), None
        if fork:  # the child's count is lost with it
            self.calls += diagnosis.calls
        self._explanation.found(diagnosis, container)
        if self._timed.is_over:
            self._explanation.cut_short(self._timed.spent)
        return diagnosis

    def _divide(self, so_far: Verdict) -> Verdict | None:
        """Divide the growth among its holders; return a verdict if nothing is left to judge."""
        from pytest_memguard.recording.causes import causes_of
        from pytest_memguard.recording.diagnosis import calls_for

        start = Clock.seconds()
        try:
            try:
                self._timed()
                calls, least = calls_for(Clock.seconds() - start, so_far)
                causes = causes_of(
                    self._timed, calls, least, self._reader.settle, self._owners()
                )
            except OutOfTime as failed:  # a cache that fills is one all the same
                self._explanation.failed(failed)
                self._is_undivided = True
                causes = None
            self._knows_causes = causes is not None
            if any(cause.holding.is_cut_short for cause in causes or ()):
                self._explanation.add_note(_DIVIDED_IN_PART)
            if causes is None:
                causes = self._undivided(so_far)
            excluded = [
                cause for cause in causes if cause.is_no_leak and self._keeps_limit(cause)
            ]
        except CallFailed as failed:
            self._explanation.failed(failed)
            return None
        self._leaks = [
            cause
            for cause in causes
            if cause not in excluded and not self._excluded.has_container_of(cause)
        ]
        self._divided_at = self.calls
        self._length = self._explanation.length()
        self._lengths = {id(c): length_of(c.holding.growing_container) for c in self._leaks}
        new = self._excluded.new(excluded)
        if new and self._turns < _MOST_TURNS:
            self._excluded.add_growing(new, {rate.signal for rate in so_far.rates})
            self._goes_on = self._has_time() and not self._is_undivided
            if self._goes_on:
                return so_far
            if not self._leaks:
                return self._without_more_calls(so_far, new)
        if self._excluded and not self._leaks and not self._excluded.beside(so_far):
            return replace(so_far, state="clean", rates=())
        return None

    def _without_more_calls(self, so_far: Verdict, new: Sequence[Cause]) -> Verdict | None:
        """Return the verdict on a cache that fills, if there is no time to repeat without it.

        Args:
            so_far: the growth of everything.
            new: the cache, or what the test runner keeps.
        """
        from pytest_memguard.recording.causes import explained

        left = [
            rate
            for rate in so_far.rates
            if rate.per_call > (1 + SMALL_PART) * explained(new, rate.signal)
        ]
        if not left and not self._is_undivided:
            return replace(so_far, state="clean", rates=())
        words = "; ".join(c.path.bounded or c.path.owner for c in new if c.path)
        return replace(so_far, state="undecided", rates=(), reason=_UNSEEN.format(words))

    def _has_time(self) -> bool:
        """Return whether the calls that a verdict takes can be made once more in time."""
        spent = Clock.seconds() - self._started
        return spent * (1 + _LEAST_CALLS / max(1, self.calls)) < self._limits.seconds

    def _leave_out_renewed(self, verdict: Verdict) -> None:
        """Repeat the call without containers that were emptied in between, if others grow."""
        if self._goes_on or verdict.state != "undecided" or self._turns >= _MOST_TURNS:
            return
        renewed = [cause for cause in self._leaks if not self._grew_on(cause)]
        if renewed and len(renewed) < len(self._leaks):
            self._excluded.add(renewed)
            self._goes_on = True

    def _ask_for_more(self, verdict: Verdict) -> None:
        """Repeat the call many times more, if only the C heap grows and no block of it stays.

        The allocator's own slack grows by less and less for some hundred calls. A test that
        starts tracemalloc is left out: it is known to leak, and its blocks cannot be followed.
        """
        signals = {rate.signal for rate in verdict.rates}
        if (
            self._goes_on
            or verdict.state != "leaking"
            or signals != {"C heap"}
            or verdict.calls >= _MANY_CALLS
            or self._least >= _MANY_CALLS
            or self._turns >= _MOST_TURNS
            or self.diagnosis is None
            or self.diagnosis.is_cut_short
            or self.diagnosis.traced
        ):
            return
        stays = sum(line.size for line in self.diagnosis.lines) / max(1, self.diagnosis.calls)
        is_accounted_for = stays >= _ACCOUNTS * verdict.rate_of("C heap")
        if not is_accounted_for and not self._explanation.starts_tracemalloc(self._call):
            self._least = _MANY_CALLS
            self._in_doubt = verdict
            self._goes_on = True

    def _keeps_limit(self, cause: Cause) -> bool:
        return keeps_limit(cause, self._call, self.calls, self._limits, self._reader.settle)

    def _undivided(self, so_far: Verdict) -> list[Cause]:
        """Return the causes where blocks cannot be followed one by one.

        All memory that grows is then attributed to the holder that was found.
        """
        from pytest_memguard.recording.causes import whole

        path = self.diagnosis.path if self.diagnosis is not None else None
        if path is None or not (path.bounded or path.owner):
            return []
        return [whole(path, self.growing_container, so_far)]

    def _concluded(self, verdict: Verdict) -> Verdict:
        """Return the verdict on what is left; set the leak's parts and what was left out."""
        self.kept, self.filling = self._excluded.kept(), self._excluded.filling()
        if verdict.state == "leaking" and self.diagnosis is not None and self._divided_at:
            # without causes, nothing is known beside what the diagnosis has found
            others = True if self._is_all_known() else self._part(verdict)
            if self._excluded and not others:
                # a mistake in measuring what is left out: nothing else was found to grow
                verdict = replace(verdict, state="clean", rates=())
            self._explanation.forget_runners_list()
            if self._leaks and not self.parts:  # what else was found was too little for a part
                main = max(self._leaks, key=lambda cause: len(cause.pieces))
                self._explanation.name_upper_holder(main)
                self._explanation.note_other_holders(main)
        if verdict.state == "undecided" and self._in_doubt is not None:
            doubt = self._in_doubt
            rate = f"{doubt.rate_of('C heap'):,.0f}"
            return replace(doubt, state="undecided", reason=_SLACK.format(rate))
        if verdict.state == "clean" and self.filling:
            reason = f"a cache is filling: {self.filling}"
            return replace(verdict, state="settling", reason=reason)
        return verdict

    def _is_all_known(self) -> bool:
        """Return whether the diagnosis has found what there was no time to divide."""
        found = self.diagnosis
        return (
            not self._knows_causes
            and not self._excluded
            and found is not None
            and found.path is not None
            and bool(found.lines)
        )

    def _part(self, verdict: Verdict) -> bool:
        """Divide a leak into its parts, if it has several or if something else grows beside it.

        Returns:
            Whether anything grows apart from what is left out.
        """
        from pytest_memguard.recording.parts import parts_of

        leaks = [cause for cause in self._leaks if self._grew_on(cause)]
        try:
            parts = parts_of(
                leaks, verdict, self._excluded.causes, self._timed, self._reader.settle
            )
        except CallFailed as failed:
            self._explanation.failed(failed)
            return True
        except Exception as error:  # noqa: BLE001  as above
            self._explanation.broke(error)
            return True
        grew = (
            self.growing_container is None
            or self._explanation.length() > self._length
            or self.calls == self._divided_at
        )
        if len(parts) == 1 and not self._excluded:
            parts = (replace(parts[0], verdict=verdict),)
        if len(parts) > 1 or (
            parts and (self._excluded or not grew or self._explanation.prefers(parts[0]))
        ):
            self.parts = (self._explanation.with_notes(parts[0]), *parts[1:])
        elif parts:
            self._explanation.add_path(parts[0].diagnosis.path)
            self._explanation.add_pool(parts[0].diagnosis.pool)
        return bool(self.parts or leaks)

    def _grew_on(self, cause: Cause) -> bool:
        """Return whether a container has kept growing since it was found to grow."""
        holding, calls = cause.holding, self.calls - self._divided_at
        if not holding.gained or calls < _LONGER * cause.calls:
            return True
        gained = length_of(holding.growing_container) - self._lengths[id(cause)]
        return gained >= SMALL_PART * holding.gained * calls / cause.calls
