"""Holds the process to the lowest of the levels in force, but for what does not count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from pytest_memguard.model.measurements import Budget, Ceiling, PhaseName

Loaded = TypeVar("Loaded")


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


class HeldLevel(NamedTuple):
    """A budget that is in force."""

    most: int
    """What the process may use, in bytes."""
    start: int
    """What it used at the start."""
    budget: Budget
    """Which."""
    path: str | None = None
    """The stage."""


class HeldLevels:
    """The levels of the phase that lasts, of which the lowest is in force.

    Args:
        holder: holds the process to a level.
        note_hit: called before a pause, if the level has been reached.
        after_load: called once a library has been loaded, before the level is in force again.

    Attributes:
        holder: the same.
        is_open: whether a phase lasts.
        is_held: whether a level is in force.
        is_lower: whether a lower limit was in force when the last one was to be set.
        was_lost: the budget whose level was replaced meanwhile, if one was.
        latest: the level that was in force last in this phase.
        at_end: the level that was in force when the phase ended.
    """

    def __init__(
        self, holder: Holder, note_hit: Callable[[], object], after_load: Callable[[], object]
    ) -> None:
        self.holder = holder
        self._note_hit = note_hit
        self._after_load = after_load
        self.is_open = self.is_held = self.is_lower = False
        self.was_lost: Budget | None = None
        self.latest: HeldLevel | None = None
        self.at_end: HeldLevel | None = None
        self._pauses = 0
        self._levels: list[HeldLevel] = []
        self._whole: tuple[int, int] | None = None

    def begin(self, budgets: Sequence[Budget], phase: PhaseName) -> None:
        """Begin a phase; `hold` puts the lowest level in force.

        Args:
            budgets: the hard ones that cover it.
            phase: which begins.
        """
        self.was_lost = None
        if phase == "setup":
            self._whole = None
        if budgets:
            now = self.holder.used()
            for budget in budgets:
                start = self._start(now) if budget.phase == "all" else now
                self._levels.append(HeldLevel(start + budget.limit, start, budget))
        self.is_open, self._pauses = True, 0

    def _start(self, now: int) -> int:
        """Where a test began; what was used between its phases is none of its own."""
        start, ended = self._whole or (now, now)
        self._whole = start + now - ended, now
        return self._whole[0]

    def add(self, budgets: Sequence[Budget], path: str) -> None:
        """Hold a stage to its budgets.

        Args:
            budgets: its hard ones.
            path: its name after those of its parents.
        """
        now = self.holder.used()
        self._levels += [HeldLevel(now + b.limit, now, b, path) for b in budgets]
        self.hold()

    def drop(self, path: str) -> None:
        """Hold the rest of the test to its other budgets: a stage has ended."""
        rest = [level for level in self._levels if level.path != path]
        if len(rest) < len(self._levels):
            self._levels[:] = rest
            self.hold()

    def lift(self) -> None:
        """Let the process use what it likes again; may be called twice."""
        if not self.is_open:
            return
        level = self.lowest() if self.is_held else None
        self.is_open = self.is_held = False
        if level is not None and not self.holder.release():
            self.was_lost = level.budget
        self.at_end = level
        if self._whole is not None:
            self._whole = self._whole[0], self.holder.used()

    def clear(self) -> None:
        """Forget the levels of a phase that has ended."""
        self._levels.clear()
        self.at_end = self.latest = None

    def lowest(self) -> HeldLevel | None:
        """Return the lowest level, if there is any."""
        if len(self._levels) == 1:  # around every test
            return self._levels[0]
        return min(self._levels, key=lambda level: level.most, default=None)

    def hold(self) -> None:
        """Put the lowest level in force."""
        level = self.lowest()
        if level is not None:
            self.is_held = self.holder.hold_to(level.most)
            self.is_lower = not self.is_held
            if self.is_held:
                self.latest = level
        elif self.is_held:
            self.was_lost = None if self.holder.release() else self.was_lost
            self.is_held = False

    def pause(self) -> None:
        """Let go for a moment in the middle of a phase: something else has to run."""
        self._pauses += 1
        if not self.is_open or not self.is_held or self._pauses > 1:
            return
        if self.holder.has_raised:
            self._note_hit()
        level = self.lowest()
        if not self.holder.release() and level is not None:
            self.was_lost = level.budget
            self.is_held = False

    def go_on(self) -> None:
        """Hold the test again after a pause."""
        self._pauses -= 1
        if self.is_open and self.is_held and not self._pauses:
            self.hold()

    def leave_out(self, load: Callable[[], Loaded]) -> Loaded:
        """Leave out what a library reserves while it is loaded; it may end the process.

        A library that gets no memory then calls ``exit``, as OpenBLAS does, and most of what
        it reserves is never touched.

        Args:
            load: loads the library.
        """
        if not self.is_open or self._pauses:
            return load()
        self.pause()
        before = self.holder.used()
        try:
            return load()
        finally:
            self._move(max(0, self.holder.used() - before))
            self._after_load()
            self.go_on()

    def leave_out_stack(self, start: Callable[[], Loaded], stack: int) -> Loaded:
        """Leave out what is reserved for a thread while it is started, up to a size.

        The thread may run at once, so that the limit is only raised meanwhile.

        Args:
            start: starts the thread.
            stack: bytes that its stack takes at most.
        """
        if not self.is_open or self._pauses or not self._levels:
            return start()
        before = self.holder.used()
        self._move(stack)
        self.hold()
        try:
            return start()
        finally:
            self._count_stack(min(stack, max(0, self.holder.used() - before)) - stack)

    def _count_stack(self, more: int) -> None:
        """Put the levels where they belong after a thread has started, or failed to."""
        if self.is_open and not self._pauses:
            self._move(more)
            self.hold()

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
        self.is_open = self.is_held = False
        self._pauses = 0
