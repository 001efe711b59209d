"""Measures what garbage collections free while a phase of a test is measured."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Any, Final, Protocol

from pytest_memguard.allocator.freed import (
    NO_GENERATION,
    OLDEST,
    Collection,
    done_by,
    grown_between,
    most_freed_between,
)
from pytest_memguard.sizes import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_memguard.probes.in_use import InUse, InUseProbe

_NEGLIGIBLE: Final = 64 * KIB
_NOT_WATCHING: Final = OLDEST + 1


class Listener(Protocol):
    """Measures a phase, and needs to know what collections freed in it."""

    def collected(self, collection: Collection) -> None:
        """Take note of a collection."""


class CollectionWatch:
    """Measures what a collection frees, through ``gc.callbacks``.

    Only the first collection of each generation in a phase can free garbage that was there
    before the phase. So a young collection costs a few microseconds once in a phase, and a
    full one, which takes milliseconds by itself, 0.1 to 4 milliseconds more. A later full one
    may free older memory that the test has let go of meanwhile: what it freed beyond what was
    allocated since the one before counts. Where the probe could not read what is in use before
    a collection that found garbage, nothing bounds what that freed.

    Args:
        probe: reads what the process has in use.
        trim: trims the C heap, so that resident memory shows what went.

    Attributes:
        reached: the oldest generation that need not be measured again in this phase, unless
            it is all there is.
    """

    def __init__(self, probe: InUseProbe, trim: Callable[[], object]) -> None:
        self.reached = _NOT_WATCHING
        self._is_blind = False
        self._probe = probe
        self._trim = trim
        self._listener: Listener | None = None
        self._before: InUse | None = None
        self._clean: InUse | None = None
        # held here: a list that a test puts in its place is not what the interpreter calls
        self._callbacks: list[Any] = getattr(gc, "callbacks", [])

    def __call__(self, when: str, info: dict[str, int]) -> None:
        """Take a call of the interpreter: a collection starts or stops."""
        generation = info["generation"]
        if generation <= self.reached and (generation < OLDEST or self._listener is None):
            return
        try:
            self._measure(when, generation, info["collected"])
        except Exception:  # noqa: BLE001  Python would print it, and pytest warn of it
            self._is_blind = True

    def _measure(self, when: str, generation: int, objects: int) -> None:
        whole = generation >= OLDEST
        if when == "start":
            if whole:
                self._trim()  # pages that the test itself has freed are none of the garbage
            self._before = self._probe.read(whole=whole)
            return
        before, self._before = self._before, None
        if before is None or self._listener is None:
            return
        self.reached = max(self.reached, done_by(generation))
        if not (objects or whole):
            return
        after = self._read_after(before, whole=whole)
        freed = most_freed_between(before, after, objects)
        grown = grown_between(self._clean, before) if self._clean is not None else 0
        if whole:
            self._clean = after
        if freed > _NEGLIGIBLE or whole:
            freed = freed if freed > _NEGLIGIBLE else 0
            found = Collection(freed, generation, before.resident, after.resident, grown)
            self._listener.collected(found)

    def _read_after(self, before: InUse, *, whole: bool) -> InUse:
        if not whole:
            return self._probe.read_like(before)
        self._trim()
        return self._probe.read(whole=True, again=True)

    def listen(self, listener: Listener) -> None:
        """Watch a phase from its start, and report collections to a listener."""
        if self._listener is None:
            self._callbacks.append(self)
            self._is_blind = False
        self._listener = listener
        self.reached, self._clean = NO_GENERATION, None

    def end_if_intact(self) -> bool:
        """Stop watching if no collection can have been missed; return whether it is so."""
        if self._is_blind:
            return False
        try:
            self._callbacks.remove(self)
        except ValueError:  # the test has emptied gc.callbacks
            self._is_blind = True
            return False
        self._listener, self.reached = None, _NOT_WATCHING
        return True

    def end(self) -> bool:
        """Stop watching, and return whether every collection was seen."""
        if self._listener is None or self.end_if_intact():
            return True
        with contextlib.suppress(ValueError):
            self._callbacks.remove(self)
        self._listener, self.reached = None, _NOT_WATCHING
        return False
