"""What is known about why one callable leaks, and which of two explanations is preferred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.values import length_of
from pytest_memguard.model.leaks import (
    NOT_FOLLOWED,
    STARTS_TRACEMALLOC,
    Diagnosis,
    RetentionPath,
)
from pytest_memguard.recording.calls import CallFailed, OutOfTime

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause
    from pytest_memguard.recording.diagnosis import GrowingContainer
    from pytest_memguard.recording.part import Part

_BEST_GUESS: Final = "; the holder is the best guess so far"
_FAILED: Final = "a call under the instruments failed: {}"
_CUT_SHORT: Final = "explaining it was cut short: {}"
_BROKEN: Final = "memguard failed to explain it ({}: {}); please report that"
_NO_MATTER: Final = 0.1
"""Lines that are more reliable are preferred even if they account for this share of the blocks
less."""
_FAR_OFF: Final = 0.5
"""Share of the blocks by which lines are far off; others must be twice as close to them."""
_TWICE: Final = 2


class Explanation:
    """The diagnosis of one suspected callable, which the division of its growth improves.

    Attributes:
        diagnosis: what was found, if it was looked for.
        growing_container: what holds the objects, if it grows.
    """

    def __init__(self) -> None:
        self.diagnosis: Diagnosis | None = None
        self.growing_container: GrowingContainer | None = None

    def found(
        self, diagnosis: Diagnosis, growing_container: GrowingContainer | None = None
    ) -> None:
        """Keep what was found.

        Args:
            diagnosis: the lines and the holder.
            growing_container: what holds the objects, if it grows.
        """
        self.diagnosis, self.growing_container = diagnosis, growing_container

    def length(self) -> int:
        """Return the present length of what grows; 0 if nothing is known to."""
        one = self.growing_container
        return length_of(one.container) if one is not None else 0

    def cut_short(self, spent: str) -> None:
        """Note that there was no time for more.

        Args:
            spent: how many calls took how long.
        """
        note = _CUT_SHORT.format(spent)
        if self.diagnosis is not None:
            from pytest_memguard.attribution.growth import says_no_holder  # loaded by then

            # the holder may be one that was not searched for
            notes = tuple(one for one in self.diagnosis.notes if not says_no_holder(one))
            self.diagnosis = replace(self.diagnosis, notes=notes, is_cut_short=True)
            if self.diagnosis.path is not None:
                note += _BEST_GUESS
        self.add_note(note)

    def failed(self, error: CallFailed) -> None:
        """Note that a call went wrong.

        Args:
            error: what happened.
        """
        is_said = self.diagnosis is not None and self.diagnosis.is_cut_short
        if not (is_said and isinstance(error, OutOfTime)):
            self.add_note(failure_note(error))

    def broke(self, error: Exception) -> None:
        """Note an error of ours.

        Args:
            error: what happened.
        """
        self.add_note(_BROKEN.format(type(error).__name__, error))

    def add_note(self, note: str) -> None:
        """Add a note to the diagnosis.

        Args:
            note: a sentence.
        """
        diagnosis = self.diagnosis or Diagnosis(calls=0)
        notes = dict.fromkeys((*diagnosis.notes, note))
        self.diagnosis = replace(diagnosis, notes=tuple(notes))

    def starts_tracemalloc(self, call: Callable[[], None]) -> bool:
        """Return whether the test starts tracemalloc, as one more call shows; note it if so.

        Args:
            call: makes one call.
        """
        from pytest_memguard.probes.python_blocks import stops_tracing
        from pytest_memguard.recording.diagnosis import named

        try:
            stops = stops_tracing(call)
        except CallFailed:
            return False
        if stops and self.diagnosis is not None:
            notes = (*self.diagnosis.notes, STARTS_TRACEMALLOC)
            self.diagnosis = named(replace(self.diagnosis, notes=notes, traced=True))
        return stops

    def name_upper_holder(self, cause: Cause) -> None:
        """Name the holder of the leak if what is named is a part of what that holds.

        Which of them has more of what is new depends on how many calls were made before.

        Args:
            cause: the leak, without what is too little to be one.
        """
        diagnosis = self.diagnosis
        if diagnosis is None or diagnosis.path is None:
            return
        upper = "" if cause.path is None else cause.path.holder
        if not upper:
            return
        from pytest_memguard.attribution.holders import is_below  # loaded by then
        from pytest_memguard.recording.diagnosis import GrowingContainer, named

        if not is_below(diagnosis.path.holder, upper):
            return
        holding = cause.holding
        self.growing_container = (
            GrowingContainer(holding.growing_container, holding.gained / cause.calls)
            if holding.gained
            else None
        )
        self.diagnosis = named(replace(diagnosis, path=cause.path))

    def note_other_holders(self, cause: Cause) -> None:
        """Note which other objects hold the leak.

        Args:
            cause: that leak.
        """
        path = self.diagnosis.path if self.diagnosis is not None else None
        if path is None:
            return
        growing_container = (
            self.growing_container.container if self.growing_container is not None else None
        )
        for note in (cause.other_holders(path, growing_container), cause.kept_by_c(path)):
            if note:
                self.add_note(note)

    def forget_runners_list(self) -> None:
        """Drop a holder of the test runner's that the objects are only reached from.

        What the test runner keeps is left out of the growth, so it is not the cause.
        """
        diagnosis = self.diagnosis
        if diagnosis is None or diagnosis.path is None or not diagnosis.path.owner:
            return
        from pytest_memguard.recording.diagnosis import named

        self.growing_container = None
        self.diagnosis = named(replace(diagnosis, path=None))

    def add_path(self, path: RetentionPath | None) -> None:
        """Add a holder that only the division has found, such as an object's C memory.

        If both found the same holder, the division knows better which of its items is new.

        Args:
            path: the path of the division.
        """
        known = self.diagnosis.path if self.diagnosis is not None else None
        if path is None or self.diagnosis is None or (known and not _is_same(known, path)):
            return
        from pytest_memguard.attribution.growth import says_no_holder  # loaded by then
        from pytest_memguard.recording.diagnosis import named

        notes = tuple(note for note in self.diagnosis.notes if not says_no_holder(note))
        self.diagnosis = named(replace(self.diagnosis, path=path, notes=notes))

    def add_pool(self, pool: str) -> None:
        """Add that lines may have memory which others took, as only the division can tell.

        Args:
            pool: the C function that may have handed it on; empty if none has.
        """
        if self.diagnosis is not None and self.diagnosis.path is None:
            self.diagnosis = replace(self.diagnosis, pool=pool)

    def prefers(self, part: Part) -> bool:
        """Return whether the division's explanation of the only leak is preferred.

        Args:
            part: the part of the division.
        """
        return (
            self._knows_nothing(part)
            or self._only_reaches(part)
            or self._accounts_for_less(part)
        )

    def with_notes(self, part: Part) -> Part:
        """Return a part with the notes on what could not be found out about the whole test.

        Args:
            part: one of the leaks.
        """
        notes = self.diagnosis.notes if self.diagnosis is not None else ()
        if part.is_followed:
            notes = tuple(note for note in notes if note != NOT_FOLLOWED)
        return replace(
            part, diagnosis=replace(part.diagnosis, notes=(*part.diagnosis.notes, *notes))
        )

    def _knows_nothing(self, part: Part) -> bool:
        """Return whether only the division has found a line, after which the growth appeared.

        A tracker does not see what code allocates that has asked the dynamic linker for
        `malloc`, as ctypes does.
        """
        diagnosis = self.diagnosis
        is_blank = diagnosis is not None and not (diagnosis.lines or diagnosis.path)
        return is_blank and bool(part.diagnosis.lines)

    def _only_reaches(self, part: Part) -> bool:
        """Return whether the holder named does not grow, and is not what holds the blocks.

        Such a holder has new objects in place of others, as a structure that each call renews.
        """
        path = self.diagnosis.path if self.diagnosis is not None else None
        if path is None or self.growing_container is not None:
            return False
        other = part.diagnosis.path
        return other is None or (
            part.growing_container is not None and other.steps[:1] != path.steps[:1]
        )

    def _accounts_for_less(self, part: Part) -> bool:
        """Return whether the division's lines are preferred to those of the diagnosis.

        The division knows of memory that was in use before, whose line is that of its first
        use, and of objects that take the place of others only some calls later. It is preferred
        for blocks without a holder unless its lines account for fewer of them, and for blocks
        with the same holder if the other lines are far off.
        """
        diagnosis, blocks = self.diagnosis, part.verdict.rate_of("blocks")
        if diagnosis is None or blocks <= 0:
            return False
        both = (diagnosis, part.diagnosis)
        missing, left = (_blocks_missing(one, blocks) for one in both)
        holders = [one.path.holder if one.path is not None else "" for one in both]
        if holders == ["", ""]:
            return left <= missing + _NO_MATTER * blocks
        return holders[0] == holders[1] and missing > _FAR_OFF * blocks > _TWICE * left


def failure_note(failed: CallFailed) -> str:
    """Return the note on a call that went wrong.

    Args:
        failed: what happened.
    """
    return (_CUT_SHORT if isinstance(failed, OutOfTime) else _FAILED).format(failed)


def _is_same(known: RetentionPath, path: RetentionPath) -> bool:
    """Return whether a path leads to the same holder, which it may name more precisely."""
    return path.holder == known.holder or path.holder.startswith(f"{known.holder}, ")


def _blocks_missing(diagnosis: Diagnosis, blocks: float) -> float:
    """Return by how many blocks per call a diagnosis's lines differ from those that stay."""
    accounted = sum(line.of_python for line in diagnosis.lines)
    return abs(blocks - accounted / max(1, diagnosis.calls))
