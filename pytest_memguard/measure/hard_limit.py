"""Holds the test that runs to its hard budgets, phase by phase and stage by stage."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeVar

from pytest_memguard.measure.error_origin import (
    Origin,
    failed_allocation,
    is_beyond_reason,
    origin_of,
    raises_memory_error,
)
from pytest_memguard.model import Budget, Ceiling, PhaseName, Stop

if TYPE_CHECKING:
    from pytest_memguard.probes.array_errors import ArrayErrors
    from pytest_memguard.probes.used_errors import UsedErrors
Loaded = TypeVar("Loaded")

_NEAR: Final = 0.75
"""From this share of a budget on, a test that had a MemoryError has surely met its limit."""


class Holder(Protocol):
    """Keeps the process, or the test's thread, from using more than a level."""

    @property
    def by(self) -> Ceiling:
        """What it is."""

    @property
    def cause(self) -> type[MemoryError]:
        """What it makes the test raise."""

    @property
    def has_raised(self) -> bool:
        """Whether it is known to have done so in this phase."""

    def used(self) -> int:
        """Return what counts against the level now, in bytes."""

    def hold_to(self, level: int) -> bool:
        """Allow no more than a level; return whether it is in force."""

    def release(self) -> bool:
        """Allow everything again; return whether the level was in force until now."""


class HasPath(Protocol):
    """A test, as far as it matters here."""

    @property
    def path(self) -> Path:
        """Its file."""


class CaughtErrors(Protocol):
    """Notices MemoryErrors that a test catches."""

    def begin(self) -> None:
        """Notice them from now on."""

    def end(self) -> bool:
        """Notice no more; return whether there was one of which nothing else is known."""

    def close(self) -> None:
        """Let go of the interpreter."""


class Stopped:
    """A test that was stopped, while its exception is known.

    Args:
        budget: which has stopped it.
        stop: where.
        error: what the test has ended with; ``None`` if it went on.
        found: the error of the allocation behind that.

    Attributes:
        budget: which has stopped it.
        stop: where.
        is_judged: whether there is a finding about it.
    """

    def __init__(
        self,
        budget: Budget,
        stop: Stop,
        error: BaseException | None = None,
        found: BaseException | None = None,
    ) -> None:
        self.budget = budget
        self.stop = stop
        self.is_judged = False
        self._error = error
        self._found = found

    def shown_by(self, failure: AssertionError) -> AssertionError:
        """Return a failure with the traceback of the allocation; let go of its error."""
        error, self._error = self._error, None
        found, self._found = self._found, None
        if found is None:
            return failure
        failure.pytrace = True  # type: ignore[attr-defined]
        if error is not found:
            failure.__cause__ = error
        return failure.with_traceback(found.__traceback__)


class Doubt(NamedTuple):
    """Why it is not known whether a hard budget was kept."""

    why: Literal["not-told", "not-held"]
    """There was a MemoryError that may have been the test's own, or the limit was replaced."""
    budget: Budget
    """Which budget."""


class _Level(NamedTuple):
    """A budget that is in force."""

    most: int
    """What the process may use, in bytes."""
    start: int
    """What it used at the start."""
    budget: Budget
    """Which."""
    path: str | None = None
    """The stage."""


class _Hit(NamedTuple):
    """A MemoryError, as far as it is known when it is raised."""

    level: _Level
    used: int
    stage: str | None
    origin: Origin | None = None
    thread: str = ""
    error: int = 0
    words: str = ""
    by_catcher: bool = False
    """Whether the line is that of the function that has caught the error, if any has."""


class HardLimits:
    """Sets the lowest of the levels that hold for a test, and says where it was reached.

    Args:
        holder: holds the process to a level.
        root: what paths are shown relative to, with a separator at its end.
        rise: returns how far resident memory has risen in the phase that lasts.
        stages_are_hard: whether budgets that stages bring along are hard.

    Attributes:
        errors: notices MemoryErrors that a test catches, if anything can.
        arrays: notices those of numpy, where that needs a way of its own.
        is_lower: whether a lower limit was in force when the last one was to be set.
    """

    def __init__(
        self,
        holder: Holder,
        root: str,
        rise: Callable[[], int],
        *,
        stages_are_hard: bool,
    ) -> None:
        self.errors: CaughtErrors | None = None
        self.arrays: ArrayErrors | None = None
        self.is_lower = False
        self._holder = holder
        self._root = root
        self._rise = rise
        self._stages_are_hard = stages_are_hard
        self._used_errors: UsedErrors | None = None
        self._test: HasPath | None = None
        self._budgets: Sequence[Budget] = ()
        self._covering: Sequence[Budget] = ()
        self._phase: PhaseName | None = None
        self._thread = 0
        self._is_open = False
        self._is_held = False
        self._pauses = 0
        self._was_lost: Budget | None = None
        self._levels: list[_Level] = []
        self._open_stages: list[str] = []
        self._of_stages: Sequence[Budget] = ()
        self._hits: list[_Hit] = []
        self._at_error: _Hit | None = None
        self._at_end: _Level | None = None
        self._latest: _Level | None = None
        self._whole: tuple[int, int] | None = None

    def use(self, errors: UsedErrors) -> None:
        """Take what notices after the fact that there was a MemoryError."""
        self.errors = self._used_errors = errors

    # The phases of a test

    def begin(self, budgets: Sequence[Budget], phase: PhaseName, test: HasPath) -> None:
        """Hold a phase to the budgets that cover it.

        Args:
            budgets: the test's hard ones.
            phase: which begins.
            test: whose.
        """
        if budgets is not self._budgets or phase != self._phase:  # most are like the last
            self._budgets, self._phase = budgets, phase
            self._of_stages = [b for b in budgets if b.stage is not None]
            self._covering = [
                b for b in budgets if b.stage is None and b.phase in (phase, "all")
            ]
        self._test = test
        self._thread = threading.get_ident()
        self._was_lost = None
        if self._open_stages:
            self._open_stages.clear()
        if phase == "setup":
            self._whole = None
        if self._covering:
            now = self._holder.used()
            for budget in self._covering:
                start = self._start(now) if budget.phase == "all" else now
                level = _Level(start + budget.limit, start, budget)
                self._levels.append(level)
        self._is_open, self._pauses = True, 0
        if self.errors is not None:
            self.errors.begin()
        if self.arrays is not None:
            self.arrays.look()
        self._hold()

    def lift(self) -> None:
        """Let the process use what it likes again; may be called twice."""
        if not self._is_open:
            return
        level = self._lowest() if self._is_held else None
        self._is_open = self._is_held = False
        if level is not None and not self._holder.release():
            self._was_lost = level.budget
        self._at_end = level
        if self._whole is not None:
            self._whole = self._whole[0], self._holder.used()

    def _start(self, now: int) -> int:
        """Where a test began; what was used between its phases is none of its own."""
        start, ended = self._whole or (now, now)
        self._whole = start + now - ended, now
        return self._whole[0]

    def _lowest(self) -> _Level | None:
        if len(self._levels) == 1:  # around every test
            return self._levels[0]
        return min(self._levels, key=lambda level: level.most, default=None)

    def _hold(self) -> None:
        level = self._lowest()
        if level is not None:
            self._is_held = self._holder.hold_to(level.most)
            self.is_lower = not self._is_held
            if self._is_held:
                self._latest = level
        elif self._is_held:
            self._was_lost = None if self._holder.release() else self._was_lost
            self._is_held = False

    def pause(self) -> None:
        """Let go for a moment in the middle of a phase: something else has to run."""
        self._pauses += 1
        if not self._is_open or not self._is_held or self._pauses > 1:
            return
        if self._holder.has_raised:
            self._note_hit()
        level = self._lowest()
        if not self._holder.release() and level is not None:
            self._was_lost = level.budget
            self._is_held = False

    def go_on(self) -> None:
        """Hold the test again after a pause."""
        self._pauses -= 1
        if self._is_open and self._is_held and not self._pauses:
            self._hold()

    def leave_out(self, load: Callable[[], Loaded]) -> Loaded:
        """Leave out what a library reserves while it is loaded; it may end the process.

        A library that gets no memory then calls ``exit``, as OpenBLAS does, and most of what
        it reserves is never touched.

        Args:
            load: loads the library.
        """
        if not self._is_open or self._pauses:
            return load()
        self.pause()
        before = self._holder.used()
        try:
            return load()
        finally:
            self._move(max(0, self._holder.used() - before))
            if self.arrays is not None:
                self.arrays.look()
            self.go_on()

    def leave_out_stack(self, start: Callable[[], Loaded], stack: int) -> Loaded:
        """Leave out what is reserved for a thread while it is started, up to a size.

        The thread may run at once, so that the limit is only raised meanwhile.

        Args:
            start: starts the thread.
            stack: bytes that its stack takes at most.
        """
        if not self._is_open or self._pauses or not self._levels:
            return start()
        before = self._holder.used()
        self._move(stack)
        self._hold()
        try:
            return start()
        finally:
            self._count_stack(min(stack, max(0, self._holder.used() - before)) - stack)

    def _count_stack(self, more: int) -> None:
        """Put the levels where they belong after a thread has started, or failed to."""
        if self._is_open and not self._pauses:
            self._move(more)
            self._hold()

    def _move(self, more: int) -> None:
        """Raise all levels, or lower them, because of what does not count."""
        self._levels[:] = [
            level._replace(most=level.most + more, start=level.start + more)
            for level in self._levels
        ]
        if self._whole is not None:
            self._whole = self._whole[0] + more, self._whole[1]

    def forget(self) -> None:
        """Hold nothing: this is a child of the test's process."""
        self._is_open = self._is_held = False
        self._pauses = 0

    # Stages

    def enter(self, path: str, budget: Budget | None) -> None:
        """Hold a stage to its budgets.

        Args:
            path: its name after those of its parents.
            budget: that it brings along.
        """
        if not self._is_open:
            return
        self._open_stages.append(path)
        hard = [limit for limit in self._of_stages if _is_stage(path, limit)]
        if budget is not None and budget.limit and self._stages_are_hard:
            hard.append(budget)
        if hard:
            now = self._holder.used()
            self._levels += [_Level(now + b.limit, now, b, path) for b in hard]
            self._hold()

    def leave(self, path: str) -> None:
        """Hold the rest of the test to its other budgets, and note what a stage ends with."""
        if not self._is_open or path not in self._open_stages:
            return
        self.pause()  # there may be no memory left to take notes with
        error = sys.exc_info()[1]
        if isinstance(error, MemoryError):
            self._note_leaving(id(error))
        elif error is None:
            self._note_used()
        del error
        self.go_on()
        self._open_stages.reverse()
        self._open_stages.remove(path)
        self._open_stages.reverse()
        rest = [level for level in self._levels if level.path != path]
        if len(rest) < len(self._levels):
            self._levels[:] = rest
            self._hold()

    # What was reached

    def note(
        self, code: CodeType, offset: int, error: BaseException, *, by_catcher: bool = False
    ) -> None:
        """Take note of a MemoryError that is being raised, in whatever thread.

        Args:
            code: of the function.
            offset: of its instruction.
            error: the exception.
            by_catcher: whether the function is the one that catches it.
        """
        if not (self._is_open and self._is_held) or self._hits or is_beyond_reason(error):
            return
        self.pause()  # there may be no memory left to take notes with
        hit = self._hit()
        line = next((n for a, b, n in code.co_lines() if a <= offset < b and n), 0)
        origin = Origin(code.co_filename, line, code.co_qualname, 0)
        thread = threading.current_thread()
        name = "" if thread.ident == self._thread else thread.name
        if hit is not None:
            words = str(error)
            hit = hit._replace(thread=name, words=words, by_catcher=by_catcher)
            self._hits.append(hit._replace(origin=origin))
        self.go_on()

    def _note_leaving(self, error: int) -> None:
        """Note the innermost stage that an exception leaves."""
        if self._at_error is None or self._at_error.error != error:
            hit = self._hit()
            self._at_error = hit._replace(error=error) if hit is not None else None

    def _note_used(self) -> None:
        """Note a MemoryError that was caught in a stage, while there is evidence of it."""
        errors, level = self._used_errors, self._lowest()
        if errors is None or level is None or self._hits or not errors.is_used():
            return
        if self._was_by_us(level):
            self._hits.append(self._hit_at(level)._replace(used=0))

    def _note_hit(self) -> None:
        """Note that the level was reached, if that is not known yet."""
        hit = self._hit()
        if hit is not None and not self._hits:
            self._hits.append(hit)

    def _hit(self) -> _Hit | None:
        level = self._lowest()
        if level is None or not self._is_held:
            return None
        return self._hit_at(level)

    def _hit_at(self, level: _Level) -> _Hit:
        stage = self._open_stages[-1] if self._open_stages else level.path
        return _Hit(level, self._holder.used() - level.start, stage)

    def note_error(self, error: BaseException) -> None:
        """Take note of an exception that the test does not get to see the end of."""
        if self._hits or not (self._is_open and self._is_held):
            return
        found = failed_allocation(error, self._holder.cause)
        if found is None:
            return
        hit = self._of_error(found) or self._hit()
        if hit is not None:
            origin = self._origin_of(found)
            self._hits.append(hit._replace(origin=origin, words=str(found)))

    def _origin_of(self, error: BaseException) -> Origin | None:
        return origin_of(error, str(self._test.path) if self._test is not None else "")

    def _of_error(self, error: BaseException) -> _Hit | None:
        """What was noted when an exception left the first stage."""
        hit = self._at_error
        return hit if hit is not None and hit.error == id(error) else None

    def end(self, error: BaseException | None) -> Stopped | Doubt | None:
        """Say where a phase was stopped, or what keeps that from being known.

        Args:
            error: what it has ended with.
        """
        self.lift()
        was_used = self.errors.end() if self.errors is not None else False
        found = failed_allocation(error, self._holder.cause) if error is not None else None
        try:
            if found is not None:
                return self._stopped_by(found, error)
            if self._holder.has_raised and not self._hits and self._latest is not None:
                self._hits.append(self._hit_at(self._latest))
            if self._hits:
                return self._stopped(self._hits[0])
            if was_used and self._latest is not None and not raises_memory_error(error):
                return self._weigh(self._latest)
            return Doubt("not-held", self._was_lost) if self._was_lost is not None else None
        finally:
            self._levels.clear()
            self._hits.clear()
            self._at_error = self._at_end = self._latest = None

    def _stopped_by(self, found: BaseException, error: BaseException | None) -> Stopped | None:
        origin = self._origin_of(found)
        hit = self._of_error(found)
        if self._hits:  # when memory has run out, a traceback may lack its innermost lines
            hit = self._hits[0]
            noted = None if hit.by_catcher else hit.origin
            if origin is None or (noted and noted[:2] != origin[:2]):
                origin = noted
        elif hit is None and self._at_end is not None:
            hit = self._hit_at(self._at_end)
        if hit is None:  # nothing held the test
            return None
        hit = hit._replace(origin=origin, words=str(found))
        return self._stopped(hit, error, found)

    def _weigh(self, level: _Level) -> Stopped | Doubt:
        """Judge a MemoryError of which only that it was there is known."""
        if self._was_by_us(level):
            return self._stopped(_Hit(level, 0, level.path))
        return Doubt("not-told", level.budget)

    def _was_by_us(self, level: _Level) -> bool:
        """Whether a MemoryError was surely that of a level."""
        if self._used_errors is not None and self._used_errors.is_no_memory():
            return True
        return self._rise() >= _NEAR * level.budget.limit

    def _stopped(
        self,
        hit: _Hit,
        error: BaseException | None = None,
        found: BaseException | None = None,
    ) -> Stopped:
        place = hit.origin or Origin("", 0, "", 0)
        stop = Stop(
            by=self._holder.by,
            used=hit.used,
            caught=error is None,
            file=place.file.removeprefix(self._root),
            line=place.line,
            function=place.function,
            test_line=place.test_line,
            stage=hit.stage,
            thread=hit.thread,
            words=" ".join(hit.words.split()),
        )
        return Stopped(hit.level.budget, stop, error, found)


def _is_stage(path: str, budget: Budget) -> bool:
    return path == budget.stage or path.endswith(f"/{budget.stage}")
