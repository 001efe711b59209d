"""Remembers containers that leak checks have filled, which may make later tests keep more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_memguard.model.leaks import Diagnosis, LeakReading

_ANY_ITEM: Final = "[...]"
_FILLED: Final = (
    "each of {:,} calls in the leak check of {} left something in {}, which may be why"
)


class FilledContainers:
    """The holders of all leaks so far, with the tests whose repetition has filled them."""

    def __init__(self) -> None:
        self._filled: dict[str, tuple[str, int]] = {}

    def noted(self, reading: LeakReading, nodeid: str) -> LeakReading:
        """Return a reading with a note on each leak in items that another test has left.

        Subscribers that the repetition of one test has left may each keep something of every
        call of another test, which would keep nothing by itself.

        Args:
            reading: of a leaking test.
            nodeid: the test.
        """
        found = self._with_note(reading, nodeid)
        found = replace(found, more=tuple(self._with_note(one, nodeid) for one in found.more))
        for part in reading.parts:
            holder = _holder_of(part.diagnosis)
            if holder:
                self._filled.setdefault(holder, (nodeid, reading.calls))
        return found

    def _with_note(self, part: LeakReading, nodeid: str) -> LeakReading:
        diagnosis, holder = part.diagnosis, _holder_of(part.diagnosis)
        if diagnosis is None or not holder:
            return part
        for filled, (test, calls) in self._filled.items():
            is_in_item = holder.startswith(filled + _ANY_ITEM)
            if is_in_item and test != nodeid:
                note = _FILLED.format(calls, test, filled)
                notes = (*diagnosis.notes, note)
                return replace(part, diagnosis=replace(diagnosis, notes=notes))
        return part


def _holder_of(diagnosis: Diagnosis | None) -> str:
    return "" if diagnosis is None or diagnosis.path is None else diagnosis.path.holder
