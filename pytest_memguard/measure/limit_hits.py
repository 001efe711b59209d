"""Notes where a test met a hard budget, and says at the end of the phase what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pytest_memguard.measure.error_origin import (
    Origin,
    failed_allocation,
    is_beyond_reason,
    origin_of,
    raises_memory_error,
)
from pytest_memguard.measure.hard_stops import Doubt, Stopped
from pytest_memguard.model.measurements import Stop

if TYPE_CHECKING:
    from pytest_memguard.measure.held_levels import HeldLevel, HeldLevels
    from pytest_memguard.probes.used_errors import UsedErrors

_NEAR: Final = 0.75
"""From this share of a budget on, a test that had a MemoryError has surely met its limit."""


class HasPath(Protocol):
    """A test, as far as it matters here."""

    @property
    def path(self) -> Path:
        """Its file."""


class LimitHit(NamedTuple):
    """A MemoryError, as far as it is known when it is raised."""

    level: HeldLevel
    """What was reached."""
    used: int
    """Bytes above the level at the start."""
    stage: str | None
    """The innermost stage."""
    origin: Origin | None = None
    """The line, if it is known."""
    thread: str = ""
    """The thread, if it is not that of the test."""
    error: int = 0
    """Identity of the exception."""
    words: str = ""
    """What the exception says."""
    by_catcher: bool = False
    """Whether the line is that of the function that has caught the error, if any has."""


class LimitHits:
    """What is known of the MemoryErrors of the phase that lasts.

    Args:
        held: the levels.
        stages: those that are open, from the outermost to the innermost.
        root: what paths are shown relative to, with a separator at its end.
        rise: returns how far resident memory has risen in the phase that lasts.

    Attributes:
        evidence: shows after the fact that there was a MemoryError, where nothing better does.
    """

    def __init__(
        self, held: HeldLevels, stages: Sequence[str], root: str, rise: Callable[[], int]
    ) -> None:
        self.evidence: UsedErrors | None = None
        self._held = held
        self._stages = stages
        self._root = root
        self._rise = rise
        self._test: HasPath | None = None
        self._thread = 0
        self._hits: list[LimitHit] = []
        self._at_error: LimitHit | None = None

    def begin(self, test: HasPath) -> None:
        """Begin a phase, in the thread of its test."""
        self._test = test
        self._thread = threading.get_ident()

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
        held = self._held
        if not (held.is_open and held.is_held) or self._hits or is_beyond_reason(error):
            return
        held.pause()  # there may be no memory left to take notes with
        hit = self._hit()
        line = next((n for a, b, n in code.co_lines() if a <= offset < b and n), 0)
        origin = Origin(code.co_filename, line, code.co_qualname, 0)
        thread = threading.current_thread()
        name = "" if thread.ident == self._thread else thread.name
        if hit is not None:
            words = str(error)
            hit = hit._replace(thread=name, words=words, by_catcher=by_catcher)
            self._hits.append(hit._replace(origin=origin))
        held.go_on()

    def note_leaving(self, error: int) -> None:
        """Note the innermost stage that an exception leaves.

        Args:
            error: its identity.
        """
        if self._at_error is None or self._at_error.error != error:
            hit = self._hit()
            self._at_error = hit._replace(error=error) if hit is not None else None

    def note_used(self) -> None:
        """Note a MemoryError that was caught in a stage, while there is evidence of it."""
        level = self._held.lowest()
        if self.evidence is None or level is None or self._hits or not self.evidence.is_used():
            return
        if self._was_by_us(level):
            self._hits.append(self._hit_at(level)._replace(used=0))

    def note_hit(self) -> None:
        """Note that the level was reached, if that is not known yet."""
        hit = self._hit()
        if hit is not None and not self._hits:
            self._hits.append(hit)

    def _hit(self) -> LimitHit | None:
        level = self._held.lowest()
        if level is None or not self._held.is_held:
            return None
        return self._hit_at(level)

    def _hit_at(self, level: HeldLevel) -> LimitHit:
        stage = self._stages[-1] if self._stages else level.path
        return LimitHit(level, self._held.holder.used() - level.start, stage)

    def note_error(self, error: BaseException) -> None:
        """Take note of an exception that the test does not get to see the end of."""
        held = self._held
        if self._hits or not (held.is_open and held.is_held):
            return
        found = failed_allocation(error, held.holder.cause)
        if found is None:
            return
        hit = self._of_error(found) or self._hit()
        if hit is not None:
            origin = self._origin_of(found)
            self._hits.append(hit._replace(origin=origin, words=str(found)))

    def _origin_of(self, error: BaseException) -> Origin | None:
        return origin_of(error, str(self._test.path) if self._test is not None else "")

    def _of_error(self, error: BaseException) -> LimitHit | None:
        """What was noted when an exception left the first stage."""
        hit = self._at_error
        return hit if hit is not None and hit.error == id(error) else None

    def result(self, error: BaseException | None, *, was_used: bool) -> Stopped | Doubt | None:
        """Say where a phase was stopped, or what keeps that from being known.

        Args:
            error: what it has ended with.
            was_used: whether it had a MemoryError of which nothing else is known.
        """
        held = self._held
        found = failed_allocation(error, held.holder.cause) if error is not None else None
        if found is not None:
            return self._stopped_by(found, error)
        if held.holder.has_raised and not self._hits and held.latest is not None:
            self._hits.append(self._hit_at(held.latest))
        if self._hits:
            return self._stopped(self._hits[0])
        if was_used and held.latest is not None and not raises_memory_error(error):
            return self._weigh(held.latest)
        return Doubt("not-held", held.was_lost) if held.was_lost is not None else None

    def clear(self) -> None:
        """Forget the errors of a phase that has ended."""
        self._hits.clear()
        self._at_error = None

    def _stopped_by(self, found: BaseException, error: BaseException | None) -> Stopped | None:
        origin = self._origin_of(found)
        hit = self._of_error(found)
        if self._hits:  # when memory has run out, a traceback may lack its innermost lines
            hit = self._hits[0]
            noted = None if hit.by_catcher else hit.origin
            if origin is None or (noted and noted[:2] != origin[:2]):
                origin = noted
        elif hit is None and self._held.at_end is not None:
            hit = self._hit_at(self._held.at_end)
        if hit is None:  # nothing held the test
            return None
        hit = hit._replace(origin=origin, words=str(found))
        return self._stopped(hit, error, found)

    def _weigh(self, level: HeldLevel) -> Stopped | Doubt:
        """Judge a MemoryError of which only that it was there is known."""
        if self._was_by_us(level):
            return self._stopped(LimitHit(level, 0, level.path))
        return Doubt("cause-not-known", level.budget)

    def _was_by_us(self, level: HeldLevel) -> bool:
        """Whether a MemoryError was surely that of a level."""
        if self.evidence is not None and self.evidence.is_no_memory():
            return True
        return self._rise() >= _NEAR * level.budget.limit

    def _stopped(
        self,
        hit: LimitHit,
        error: BaseException | None = None,
        found: BaseException | None = None,
    ) -> Stopped:
        place = hit.origin or Origin("", 0, "", 0)
        stop = Stop(
            by=self._held.holder.by,
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
