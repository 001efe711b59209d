"""The new objects: their types, how they refer to each other, and which to search from."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.retention import stack_frames
from pytest_memguard.attribution.session_owners import MACHINERY
from pytest_memguard.model.leaks import TypeGrowth

_OURS: Final = "pytest_memguard."
_MOST_TYPES: Final = 10
_MOST_SIZED: Final = 1_000
_MOST_REACHED: Final = 20_000
_MOST_EXAMINED: Final = 100_000
_MOST_TARGETS: Final = 6
_MOST_ITEMS: Final = 1_000
_MOST_EXAMPLES: Final = 12
_LEAST_EXAMPLES: Final = 2


class NewObjects:
    """Objects that did not exist at the start.

    This object holds them, so it must not live long.

    Args:
        objects: the objects, with this thread's frames among them.
        leave_out: ids of objects to ignore.
    """

    def __init__(self, objects: list[Any], leave_out: set[int]) -> None:
        leave_out = leave_out | stack_frames()
        self.objects = [held for held in objects if id(held) not in leave_out]
        self.ids = {id(held) for held in self.objects}
        self.counts: Counter[str] = Counter()
        """Survivors by type, of the types that grew steadily."""
        # no method of its own: what is held here must go at once, not with the next collection
        self._is_in_new_block: Callable[[object], bool] = _is_never

    def know_blocks(self, is_new: Callable[[object], bool]) -> None:
        """Take a function that returns whether an object is in new memory, tracked or not.

        Args:
            is_new: such as `marking.BlockMarker.is_new`.
        """
        self._is_in_new_block = is_new

    @property
    def own(self) -> set[int]:
        """Return the ids of objects here that hold new objects, or their ids."""
        return {id(self.objects), id(self.ids), id(self), id(self.__dict__)}

    def count(
        self, least: int, then: Counter[str] | None = None, now: Counter[str] | None = None
    ) -> tuple[TypeGrowth, ...]:
        """Find out of which types there are more objects.

        Args:
            least: the least growth in number.
            then: the number of objects by type name before; ``None`` if unknown.
            now: the number of objects by type name now; ``None`` if unknown.

        Returns:
            Classes written in Python first, builtin ones last, the most numerous of each first:
            what is made of other objects says more than those.
        """
        tiers = {raw.type_name(kind): _tier(kind) for kind in self._kinds()}
        every: Counter[str] = Counter(name for name, _ in self._named())
        if then is not None and now is not None:
            # some of what was there may be gone
            every = Counter({name: min(every[name], now[name] - then[name]) for name in every})
        ranked = sorted(every.items(), key=lambda item: (tiers[item[0]], -item[1], item[0]))
        self.counts = Counter({name: count for name, count in ranked if count >= least})
        sizes = self._sizes()
        return tuple(
            TypeGrowth(type=name, count=count, size=round(count * sizes.get(name, 0)))
            for name, count in list(self.counts.items())[:_MOST_TYPES]
        )

    def reached(self, container: Any) -> set[int]:
        """Return the ids of what is new and held by a container, through new objects alone."""
        seen: set[int] = set()
        frontier = [container]
        while frontier and len(seen) < _MOST_REACHED:
            fresh = {
                id(held): held
                for held in raw.referents(*frontier)
                if id(held) in self.ids and id(held) not in seen
            }
            frontier = [held for held in fresh.values() if not _is_weak(held)]
            seen.update(map(id, frontier))
        return seen

    def examples(self, without: set[int], least: int) -> list[Any]:
        """Return a few of the latest new objects of each type that grew, if there are enough.

        Args:
            without: ids of new objects to ignore.
            least: the least number of other new objects of a type.
        """
        by_name: dict[str, list[Any]] = {}
        for name, held in self._named():
            if name in self.counts and id(held) not in without and not _is_weak(held):
                by_name.setdefault(name, []).append(held)
        many = [objects for objects in by_name.values() if len(objects) >= least]
        many = sorted(many, key=len, reverse=True)[:_MOST_EXAMPLES]
        each = max(_LEAST_EXAMPLES, _MOST_EXAMPLES // max(1, len(many)))
        return [held for objects in many for held in objects[:each]]

    def item_of(self, container: Any) -> tuple[Any, ...]:
        """Return one item of a container that grew, a new one if possible."""
        items = list(_last_items(container))
        fresh = [held for held in items if id(held) in self.ids and not _is_weak(held)]
        if not fresh:  # text and numbers, which the collector does not follow
            at_either_end = chain(items, _first_items(container))
            fresh = [held for held in at_either_end if self._is_in_new_block(held)]
        if type(container) is raw.LRU_CACHE:  # it holds more than its results
            return tuple(fresh[:1])
        return tuple((fresh or items)[:1])

    def targets(self) -> list[Any]:
        """Return a few new objects to search from, such that no other new object holds, if any.

        Objects of classes of the tested code come before lists and dicts.
        """
        found = [(name, held) for name, held in self._named() if name in self.counts]
        found = [pair for pair in found if not _is_weak(pair[1])] or found
        below = set(map(id, raw.referents(*(held for _, held in found))))
        tops = [pair for pair in found if id(pair[1]) not in below] or found
        by_name: dict[str, list[Any]] = {}
        for name, held in tops:
            by_name.setdefault(name, []).append(held)
        names = sorted(by_name, key=lambda name: ("." not in name, -self.counts[name], name))
        chosen = chain.from_iterable(
            (by_name[name][0], by_name[name][len(by_name[name]) // 2]) for name in names
        )
        return list({id(held): held for held in islice(chosen, _MOST_TARGETS)}.values())

    def _named(self) -> Iterator[tuple[str, Any]]:
        """Return the latest new objects, each with the name of its type."""
        names: dict[int, str] = {}
        for held in self.objects[: -_MOST_EXAMINED - 1 : -1]:
            kind = type(held)
            if id(kind) not in names:
                names[id(kind)] = raw.type_name(kind)
            if not names[id(kind)].startswith(_OURS):
                yield (names[id(kind)], held)

    def _kinds(self) -> Iterable[type]:
        """Return the types of the latest new objects."""
        kinds = map(type, self.objects[: -_MOST_EXAMINED - 1 : -1])
        return {id(kind): kind for kind in kinds}.values()

    def _sizes(self) -> dict[str, float]:
        """Return the average bytes of an object, by the name of its type."""
        counts: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for name, held in self._named():
            if name in self.counts and counts[name] < _MOST_SIZED:
                counts[name] += 1
                sums[name] += raw.own_size(held)
        return {name: sums[name] / count for name, count in counts.items()}


def _tier(kind: type) -> int:
    """Return how informative a type is, 0 for the most."""
    module = raw.class_name(kind)[0]
    if module in {"", "builtins"}:
        return 2
    if module.partition(".")[0] in MACHINERY:
        return 3  # the consequence of something else, such as a traceback that is kept
    return 0 if raw.is_made_in_python(kind) else 1


def _is_weak(obj: object) -> bool:
    return issubclass(type(obj), ReferenceType)


def _is_never(held: object) -> bool:  # noqa: ARG001  stands for what is asked
    return False


def _first_items(container: Any) -> list[Any]:
    """Return items of an ordered container from its front."""
    if not issubclass(type(container), (list, deque)):
        return []
    try:
        return list(islice(iter(raw.referents(container)), _MOST_ITEMS))
    except RuntimeError:  # another thread changed it meanwhile
        return []


def _last_items(container: Any) -> Iterator[Any]:
    """Return items of a container, the last ones first if it has an order."""
    kind = type(container)
    if issubclass(kind, dict):
        for key, value in raw.items(container)[: -_MOST_ITEMS - 1 : -1]:
            yield value
            if gc.is_tracked(key):
                yield key
        return
    walk = next((base for base in (list, deque) if issubclass(kind, base)), None)
    try:
        if walk is not None:
            yield from islice(walk.__reversed__(container), _MOST_ITEMS)
        elif issubclass(kind, (set, SimpleQueue, raw.LRU_CACHE)):
            yield from raw.referents(container)[:-_MOST_ITEMS:-1]
    except RuntimeError:  # another thread changed it meanwhile
        return
