"""Finds which objects became more while a leaking test was repeated, and what holds them."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from pytest_memguard.attribution.containers import Containers, gained_by, holders
from pytest_memguard.attribution.entries import chains_from_above
from pytest_memguard.attribution.holders import holder_of
from pytest_memguard.attribution.lost_objects import lost_words
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.raw import PLAIN, basic_size, length, own_size
from pytest_memguard.attribution.retention import (
    Chain,
    Search,
    retention_path,
    stack_frames,
)
from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.attribution.sizes import Sizes
from pytest_memguard.attribution.values import exits_grew, grown_value, module_values
from pytest_memguard.model.leaks import RetentionPath, TypeGrowth
from pytest_memguard.values import dataclass

STEADY: Final = 0.9
"""Growth per call from which on it is steady: some calls may reuse free places."""
_NO_HOLDER: Final = "no module, class or thread was found that holds the new objects"
_NO_HOLDER_OR_CYCLES: Final = (
    f"{_NO_HOLDER}; the garbage collector is off, so they may hold each other"
)
_C_CODE_ALONE: Final = "C code alone holds the new objects: each call leaves it a reference to "
_WITH_TABLE: Final = (*PLAIN, bytearray)
_START_SHARE: Final = 0.6
_SEARCH_SHARE: Final = 0.3
_LEAST_SECONDS: Final = 0.1
_SMALL_PART: Final = 0.25
_REPLACED: Final = 0.25
"""If more than this share of the growth looked for is gone meanwhile, types are counted
again."""
_REPLACED_ONCE: Final = 16
"""So many objects may be gone as well: pytest replaces 14, however often a test is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthFound:
    """What the repetitions left behind."""

    types: tuple[TypeGrowth, ...] = ()
    """Types of which there are more objects with every call, the most numerous first."""
    path: RetentionPath | None = None
    """Retention path to the new objects; ``None`` if no Python object holds them."""
    notes: tuple[str, ...] = ()
    """What could not be found out, and why."""
    growing_container: object = None
    """The end of the path, if it is what grew; `values.length_of` returns its length."""
    gained: int = 0
    """By how much it grew."""
    sure: bool = True
    """Whether measuring all containers would show nothing more."""
    reached: float = 1.0
    """Which part of the objects that became more `growing_container` leads to."""
    added: int = 0
    """Bytes that were added to the tables of containers; 0 if they were not measured."""


def says_no_holder(note: str) -> bool:
    """Return whether a note says that no holder was found.

    Args:
        note: one of `GrowthFound.notes`.
    """
    return note.startswith((_NO_HOLDER, _C_CODE_ALONE))


class HeapGrowth:
    """Examines the process before and after repetitions.

    The heap is frozen in between (`gc.freeze`), so that everything that the garbage collector
    tracks at the end is new. A heap that was frozen before is unfrozen, and after `finish` it
    is not frozen. No other code may freeze or unfreeze it in between.

    A container that grew holds new objects, which are quick to find. Growth by things that are
    not tracked, or that replaced others, shows only if all containers are measured before and
    after.

    Attributes:
        replaced: whether new objects may have replaced others, if nothing was measured.
    """

    def __init__(
        self,
        *,
        seconds: float = 1.0,
        measures: bool = True,
        shortest: int = 0,
        counts: bool = True,
        collected: bool = False,
        owners: Owners = (),
    ) -> None:
        """Examine the process; garbage should have been collected just before.

        Args:
            seconds: the most CPU time of this thread for this and for `finish`, so that a busy
                machine does not decide what is found. A scan of the whole heap is not
                interrupted.
            measures: whether to measure all containers. Without it the result may be unsure,
                and then it is empty. If it is not, it remains to be checked whether
                `GrowthFound.growing_container` keeps growing, because its items may have
                replaced others.
            shortest: containers of at least this length are measured.
            counts: whether to count objects by type, in case some are replaced.
            collected: whether the whole heap was collected just before, and has not been frozen
                since: `finish` leaves it like that. Then garbage is young, if there is any.
            owners: as for `retention.Search`.
        """
        self._owners = owners
        started = time.thread_time()
        gc.unfreeze()
        if gc.isenabled():  # garbage that was frozen: it does not go in place of what is new
            gc.collect(1 if collected else 2)
        with NoCollection():
            stack_frames()  # frames become objects when they are asked for: not later
            self._values = module_values()
            end = started + _START_SHARE * seconds
            self._sizes: Sizes | None = None
            if measures:
                everything = gc.get_objects()
                self._sizes = Sizes(everything, end, shortest=shortest, counts=counts)
                del everything
            self._total = len(gc.get_objects()) if counts else 0
            gc.freeze()
            self._mark: list[Any] | None = []  # new, while this object itself is frozen
        self._seconds = seconds - (time.thread_time() - started)
        self.replaced = False

    def finish(self, *, calls: int, collect: Callable[[], object] = gc.collect) -> GrowthFound:
        """Collect garbage, examine the process again, and find what holds the new objects.

        Args:
            calls: the number of calls made since.
            collect: collects garbage, if it is to be collected.
        """
        left_over = max(_LEAST_SECONDS, self._seconds)
        deadline = time.thread_time() + left_over
        collect()
        collects = gc.isenabled()
        no_holder = _NO_HOLDER if collects else _NO_HOLDER_OR_CYCLES
        with NoCollection():
            new_objects, undisturbed = self._new_objects()
            not_frozen = len(gc.get_objects())
            gc.unfreeze()
            if collects:  # what was alive at the start, is in a cycle and was replaced
                gc.collect()
            after = _SecondState(
                new_objects,
                frozen=self._total,
                not_frozen=not_frozen,
                calls=calls,
                scans_end=deadline - _SEARCH_SHARE * left_over,
                deadline=deadline,
                no_holder=no_holder,
                owners=self._owners,
                values=self._values,
            )
            if not undisturbed:
                after.notes.append(
                    "the heap was frozen or unfrozen meanwhile: what is new is not known"
                )
            if self._sizes is not None:
                return after.found(self._sizes, self._values)
            found = after.glance() if undisturbed else GrowthFound(sure=False)
            self.replaced = after.replaced or not undisturbed
            return found

    def _new_objects(self) -> tuple[NewObjects, bool]:
        """Return the new objects, and whether the heap stayed frozen as it was."""
        objects = gc.get_objects()
        ids = set(map(id, objects))
        undisturbed = id(self._mark) in ids and id(self) not in ids
        new_objects = NewObjects(objects if undisturbed else [], {id(self._mark)})
        self._mark = None
        return (new_objects, undisturbed)


class NoCollection:
    """A context without garbage collections."""

    def __enter__(self) -> None:
        self._enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._enabled:
            gc.enable()


class _SecondState:
    """The state after the repetitions, and what follows from both states."""

    def __init__(
        self,
        new_objects: NewObjects,
        *,
        frozen: int,
        not_frozen: int,
        calls: int,
        scans_end: float,
        deadline: float,
        no_holder: str,
        owners: Owners,
        values: dict[str, int],
    ) -> None:
        self._owners = owners
        self._new_objects = new_objects
        self._calls = calls
        self._least = max(1, math.ceil(STEADY * calls))
        # what is registered for the end is often registered with a list in C code as well
        self._names_lost = not exits_grew(values, self._least)
        self._total = frozen + not_frozen
        self.replaced = False
        self._scans_end = scans_end
        self._deadline = deadline
        self.notes: list[str] = []
        self._no_holder = no_holder
        self._growing_container: object = None
        self._gained = 0
        self._complete = True
        self._measured = False

    def glance(self) -> GrowthFound:
        """Return what the new objects show by themselves, without measured containers."""
        self._replaces(gc.get_objects(), _REPLACED_ONCE)
        types = () if self.replaced else self._new_objects.count(self._least)
        if not types:
            return GrowthFound(sure=False)
        new_objects = self._new_objects
        containers = Containers(holders(new_objects, self._least), new_objects, self._calls)
        if containers.reach < max(1, _SMALL_PART * new_objects.counts.total()):
            return GrowthFound(sure=False)
        path = self._path(containers)
        if path is None or time.thread_time() > self._scans_end:
            return GrowthFound(sure=False)
        return GrowthFound(
            types=types,
            path=path,
            growing_container=self._growing_container,
            gained=self._gained,
            reached=self._reached(),
        )

    def _reached(self) -> float:
        """Return which part of the objects that became more the growing container leads to."""
        known = self._new_objects.counts.total()
        if not known or self._growing_container is None:
            return 1.0
        return len(self._new_objects.reached(self._growing_container)) / known

    def _replaces(self, everything: Sequence[Any], may_be_gone: int = 0) -> None:
        """Note whether new objects may have replaced others of their types, which are gone."""
        gone = self._total - len(everything)
        self.replaced = gone > _REPLACED * self._least + may_be_gone

    def found(self, sizes: Sizes, values: dict[str, int]) -> GrowthFound:
        """Return what both states show together.

        Args:
            sizes: the sizes before.
            values: the values before.
        """
        everything = gc.get_objects()
        ids, deadline = self._new_objects.ids, self._scans_end
        if sizes.counts is not None:
            self._replaces(everything)
        grown, now = sizes.grown(
            everything,
            self._least,
            ids,
            deadline,
            count=self.replaced,
            leave_out=self._new_objects.own,
        )
        complete = sizes.complete and time.thread_time() < deadline
        then = sizes.counts if self.replaced and complete else None
        types = self._new_objects.count(self._least, then, now)
        containers = Containers(grown, self._new_objects, self._calls)
        if not containers.reach:
            grown += sizes.grown_near(self._least)
            if not grown:
                grown = sizes.grown_far(everything, self._least, self._deadline)
            complete = complete and time.thread_time() < self._deadline
            containers = Containers(grown, self._new_objects, self._calls)
        self._complete, self._measured = complete, True
        if not complete:
            self.notes.append("the heap is too large for the time: not all was measured")
        added = round(sum(map(_added, grown)))
        # the search scans the heap for whatever refers to something: not this
        del everything, grown
        # new objects are no evidence of who holds what grows, if there are as many as before
        path = self._path(containers, evident=bool(types) or then is None)
        if path is None:
            value = grown_value(values, self._least)
            if value is not None:
                path, self._growing_container, self._gained = value
        if types and not self.notes and (path is None or path.owner):
            lost = lost_words(self._new_objects, self._least)
            if lost:  # the frames of the test runner lead to what it keeps
                path, self._growing_container, self._gained = None, None, 0
                self.notes.append(f"{_C_CODE_ALONE}{lost}")
            elif path is None:
                self.notes.append(self._no_holder)
        return GrowthFound(
            types=types,
            path=path,
            notes=tuple(self.notes),
            growing_container=self._growing_container,
            gained=self._gained,
            reached=self._reached(),
            added=added,
        )

    def _path(self, containers: Containers, *, evident: bool = True) -> RetentionPath | None:
        own = {id(containers.objects), id(containers.__dict__), id(containers)}
        search = Search(
            avoid=own | self._new_objects.own,
            deadline=self._deadline,
            owners=self._owners,
            new=self._new_objects.ids,
            lost=self._names_lost,
        )
        path = None
        if evident and containers.reach < _SMALL_PART * self._new_objects.counts.total():
            chains = search.chains(self._new_objects.targets())
            path = self._path_along(chains, search)
        if path is None:
            found = holder_of(containers, self._new_objects, search)
            if found is not None:
                path, self._growing_container, self._gained = found
        if path is None and evident and self._measured and self._new_objects.counts:
            chains = chains_from_above(self._new_objects, search, self._least)
            path = self._path_along(chains, search)
        if path is None and search.timed_out:
            self.notes.append("time ran out while looking for what holds the new objects")
        return path

    def _path_along(self, chains: list[Chain], search: Search) -> RetentionPath | None:
        if not chains:
            return None
        if not self._complete:
            self._growing_container, self._gained = self._unmeasured_container(
                chains[0].objects
            )
        return retention_path(
            chains[0],
            roots=search.roots,
            new=self._new_objects.ids,
            growing_container=self._growing_container,
        )

    def _unmeasured_container(self, objects: tuple[Any, ...]) -> tuple[object, int]:
        """Return the container on a chain that holds something new for every call.

        If only a part of the heap was measured, its size before is not known.
        """
        new = self._new_objects.ids
        for held in objects:
            if id(held) not in new and length(held) is not None:
                gained = gained_by(held, new)
                if gained >= self._least:
                    return held, gained
        return None, 0


def _added(grown: tuple[Any, int]) -> float:
    """Return the bytes that were added to the table of a container, by its growth."""
    container, gained = grown
    whole = length(container)
    if not whole or not issubclass(type(container), _WITH_TABLE):
        return 0.0
    size = own_size(container) - basic_size(type(container))
    return max(0.0, size * gained / whole)
