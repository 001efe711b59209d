"""Groups containers that keep the same things, and assigns each block to one holder."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import exit_functions, raw
from pytest_memguard.attribution.containers import Containers
from pytest_memguard.attribution.growth import STEADY
from pytest_memguard.attribution.handed_on import with_owners_lines
from pytest_memguard.attribution.hidden_references import KeptByC, kept_by_c
from pytest_memguard.attribution.holders import holder_of, is_below
from pytest_memguard.attribution.holding import Holding
from pytest_memguard.attribution.leftover import Heap, with_main_line
from pytest_memguard.attribution.marking import BlockMarker
from pytest_memguard.attribution.moved_tables import moved
from pytest_memguard.attribution.naming import is_weak_container
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.pieces import Piece
from pytest_memguard.attribution.retention import Search, retention_path
from pytest_memguard.attribution.second_holder import second_holder
from pytest_memguard.attribution.sizes import Grown
from pytest_memguard.attribution.thread_locals import is_thread_local
from pytest_memguard.attribution.threads import has_threads, is_of_thread, on_stacks
from pytest_memguard.attribution.values import is_atexit
from pytest_memguard.model.leaks import RetentionPath

_MOST_HOLDERS: Final = 24
_MOST_ROUNDS: Final = 3
"""How many times so many containers are examined, if others keep something else."""
_MOST_FURTHER: Final = 2_000
"""The most containers of which only an item and the table are examined."""
_FEW_ITEMS: Final = 1_000
"""So many items of each further container are examined."""
_SHARED: Final = 0.5
"""Two containers keep the same things if they share this part of the growth looked for."""


class _Group:
    """Containers that keep the same things."""

    def __init__(self, containers: Grown, held: set[int]) -> None:
        self.containers = containers
        self.held = held
        self.path: RetentionPath | None = None
        self.growing_container: object = None
        self.gained = 0
        self.is_weak = False
        """Whether it is a container of weak references, which go with what they refer to."""
        self.is_population = False
        """Whether so many containers grow that some of their tables move in any few calls."""
        self.referred: set[int] = set()
        """Blocks of what those refer to."""
        self.others: dict[str, None] = {}
        """Names of further holders of the same blocks, in order."""
        self.kept_by_c: KeptByC | None = None
        """What of it would stay if the holder let go."""

    def take(self, other: _Group) -> None:
        """Take the path of another group."""
        self.path = other.path
        self.growing_container, self.gained = other.growing_container, other.gained

    @property
    def holds_nothing(self) -> bool:
        """Whether it consists of sets of weak references, which hold nothing."""
        sets = all(type(container) is set for container, _ in self.containers)
        return self.is_weak and bool(self.containers) and sets

    @property
    def rank(self) -> int:
        """A key that sorts leaks first, then the test runner's, then caches that fill."""
        if self.path is None:
            return 0
        return 2 if self.path.bounded else int(bool(self.path.owner))


class HolderGroups:
    """Finds out what holds which blocks, and assigns each block to one holder.

    Args:
        new_objects: what the calls left behind, as the garbage collector sees it.
        marker: finds the blocks of objects.
        pieces: all blocks.
        search: finds retention paths.
        calls: the least number of calls that leaked.
        moved_tables: the indices of blocks that are tables of containers that were there before
            and have grown, with the part of each that was added.
    """

    def __init__(
        self,
        new_objects: NewObjects,
        marker: BlockMarker,
        pieces: Sequence[Piece],
        search: Search,
        calls: int,
        moved_tables: Mapping[int, float],
    ) -> None:
        self._new_objects = new_objects
        self._marker = marker
        self._pieces = pieces
        self._search = search
        self._calls = calls
        self._groups: list[_Group] = []
        self._tables = frozenset(moved_tables)
        self._shares = dict(moved_tables)
        """Which part of a table that has moved was added to it."""

    def add(self, grown: Grown, values: Sequence[tuple[RetentionPath, Any, Any, int]]) -> None:
        """Add containers that grew, joined if they keep the same things, and values.

        Args:
            grown: containers, each with the number of its new items.
            values: values of modules that grew, each with its retention path, the container
                that grows and the number of its new items.
        """
        asked: set[int] = set()
        waiting = grown
        for _ in range(_MOST_ROUNDS):
            containers = Containers(waiting, self._new_objects, self._calls, most=_MOST_HOLDERS)
            for index, container in enumerate(containers.objects):
                self._add_container(container, -containers.keys[index][2])
            asked.update(map(id, containers.objects))
            waiting = self._with_more(waiting, asked)
            if not waiting:
                break
        self._join_inner()
        others = [pair for pair in grown if id(pair[0]) not in asked]
        self._add_tables(others[:_MOST_FURTHER])
        for path, value, growing_container, gained in values:
            group = _Group([], self._marker.held_by(value))
            group.path, group.growing_container, group.gained = path, growing_container, gained
            self._groups.append(group)

    def _add_container(self, container: Any, gained: int) -> None:
        group = _Group([(container, gained)], self._marker.held_by(container))
        self._find_path(group)
        if group.rank:  # C memory that no leak needs may be that of another object
            group.held = self._marker.held_by(container, within_lines=True)
        objects = self._without_callbacks(group.held)
        group.is_weak = _is_data(container) or _go_by_themselves(objects, group.path)
        if group.is_weak:  # what they refer to, others hold
            group.referred = self._marker.referred_to(filter(_is_reference, objects))
            group.held |= group.referred
        self._join(group)

    def _without_callbacks(self, held: set[int]) -> list[Any]:
        """Return the objects among some blocks, without what weak references alone keep."""
        objects = self._marker.objects(held)
        references = self._marker.indices_of(map(id, filter(_is_reference, objects)))
        if not references:
            return objects
        below = set().union(*(self._marker.reached(index) - {index} for index in references))
        return self._marker.objects(held - below)

    def _with_more(self, grown: Grown, asked: set[int]) -> Grown:
        """Return further containers that hold something that no group has.

        There may be hundreds that keep the same things, and a few beside them.
        """
        if len(asked) == len(grown):
            return []
        unclaimed = self.unclaimed()
        others = [pair for pair in grown if id(pair[0]) not in asked]
        return [
            pair
            for pair in others[:_MOST_FURTHER]
            for item in [self._new_objects.item_of(pair[0])]
            if not unclaimed.isdisjoint(self._marker.indices_of(map(id, item)))
        ]

    def _join_inner(self) -> None:
        """Join lists that only the C code of another container refers to to that container.

        `io.StringIO` keeps what was written to it in such a list until it is read.
        """
        inner = {
            id(container): group
            for group in self._groups
            if group.path is None
            for container, _ in group.containers
        }
        for outer in [group for group in self._groups if group.path is not None and inner]:
            words = [self._marker.words_in(container) for container, _ in outer.containers]
            for word in set().union(*words) & inner.keys():
                group = inner.pop(word)
                outer.held |= group.held
                outer.containers += group.containers
                self._groups = [one for one in self._groups if one is not group]

    def add_threads(self) -> None:
        """Add what threads have allocated to the group that holds the threads.

        A thread has C memory, and objects that only its own stack refers to. Those may be in
        memory that was allocated elsewhere before.
        """
        holder = next(filter(self._has_threads, self._groups), None)
        if holder is None:
            return
        unclaimed = self.unclaimed()
        mine = {index for index in unclaimed if is_of_thread(self._pieces[index].stack)}
        below = set().union(*map(self._marker.reached, sorted(mine)))
        # what has a stack of its own may only seem to be reached, by an old pointer
        mine |= {index for index in below & unclaimed if not self._pieces[index].stack}
        values = self._marker.indices_of(map(id, on_stacks(self._marker.objects(holder.held))))
        mine |= unclaimed & set().union(*map(self._marker.reached, sorted(values)))
        holder.held |= mine

    def take_weak(self) -> list[_Group]:
        """Remove containers of weak references that keep nothing of another group.

        What they refer to is held by something that is no container that grows. Containers that
        keep the same as another group join it: that of a context variable, which is known
        later.
        """
        weak = [group for group in self._groups if group.is_weak]
        self._groups = [group for group in self._groups if not group.is_weak]
        left = []
        for group in weak:
            home = next((one for one in self._groups if self._keep_the_same(one, group)), None)
            if home is None:
                left.append(group)
            else:
                home.held |= group.held
        return left

    def return_weak(self, weak: Sequence[_Group], heaps: Sequence[Heap]) -> list[Heap]:
        """Add weak references to what has the objects that they refer to.

        They go when these go, also where C code has lost a reference to them: to a class, say,
        which its base class refers to weakly.

        Args:
            weak: what `take_weak` returned; they become groups again if nothing has these
                objects.
            heaps: blocks that belong together, though no container holds them.

        Returns:
            The heaps that still have blocks.
        """
        for group in weak:
            homes = [heap for heap in heaps if self._has(heap, group)]
            home = max(homes, key=lambda heap: heap.path is not None, default=None)
            if home is not None:
                home.held |= group.held & (self.unclaimed() | group.referred)
                continue
            self._groups.append(group)
            for heap in heaps:
                heap.held -= group.held
        return [heap for heap in heaps if heap.held]

    def _has(self, heap: Heap, weak: _Group) -> bool:
        """Return whether a heap has what weak references refer to, or a local that has them."""
        if not heap.held.isdisjoint(weak.referred):
            return True
        local = map(id, filter(is_thread_local, self._marker.objects(heap.held)))
        below = (self._marker.below(index) for index in self._marker.indices_of(local))
        return not weak.held.isdisjoint(set().union(*below))

    def _has_threads(self, group: _Group) -> bool:
        return has_threads(map(type, self._marker.objects(group.held)))

    def _add_tables(self, grown: Grown) -> None:
        """Add the tables of further containers to the groups that keep the same things.

        A table that was there before and has moved keeps what it has grown by.

        There are many such containers if each call adds to all lists that earlier calls have
        made. So are the sets of weak references of abstract classes, if each call asks all of
        them: the references belong to the group that has the objects they refer to.
        """
        groups = [(group, self._marker.object_ids(group.held)) for group in self._groups]
        for container, _ in grown:
            if self._add_references(container):
                continue
            tables = self._marker.buffers(container)
            items = set(map(id, self._items_of(container, every=bool(tables))))
            for group, held in groups:
                if not items.isdisjoint(held):
                    group.held |= tables
                    group.is_population = True
                    break

    def _items_of(self, container: Any, *, every: bool) -> Sequence[Any]:
        """Return the items of a container; of a long one perhaps only the latest."""
        if every or (raw.length(container) or 0) <= _FEW_ITEMS:
            return raw.referents(container)
        return self._new_objects.item_of(container)

    def _add_references(self, container: Any) -> bool:
        """Add a set of weak references to the group that has the objects its new ones refer to.

        Returns:
            Whether the container is such a set.
        """
        if type(container) is not set or not _is_reference(next(iter(container), None)):
            return False
        held = self._marker.held_by(container)
        objects = self._marker.objects(held)
        below = self._marker.referred_to(filter(_is_reference, objects))
        for group in self._groups:
            if not group.holds_nothing and not below.isdisjoint(group.held):
                group.held |= held
                break
        return True

    def _find_path(self, group: _Group) -> None:
        containers = Containers(group.containers, self._new_objects, self._calls)
        found = holder_of(containers, self._new_objects, self._search)
        if found is not None:
            group.path, group.growing_container, group.gained = found

    def _join(self, new: _Group) -> None:
        """Add a group, or join it to the group that keeps the same things."""
        for group in self._groups:
            alike = group.rank == new.rank or group.is_weak or new.is_weak
            if alike and self._keep_the_same(group, new):
                self._take_path(group, new)
                group.is_weak = group.is_weak and new.is_weak
                group.referred |= new.referred
                group.containers += new.containers
                group.held |= new.held
                return
        self._groups.append(new)

    @staticmethod
    def _take_path(group: _Group, new: _Group) -> None:
        """Take the path of a group that keeps the same things, or note it as a further one.

        Args:
            group: the group that is joined.
            new: the group that joins it.
        """
        path = new.path
        if path is None:
            return
        if group.path is None or (group.is_weak and not new.is_weak):
            group.take(new)
        elif new.is_weak or path.holder == group.path.holder:
            return
        elif is_below(group.path.holder, path.holder):
            # what holds both is the one that has to let go, whichever of them has more
            group.take(new)
            group.others = {
                name: None for name in group.others if not is_below(name, path.holder)
            }
        elif not is_below(path.holder, group.path.holder):
            # of holders in one object that grow alike, the same one is named every time
            siblings = path.holder.rpartition(".")[0] == group.path.holder.rpartition(".")[0]
            if siblings and new.gained == group.gained and path.holder < group.path.holder:
                group.others[group.path.holder] = None
                group.path, group.growing_container = path, new.growing_container
            else:
                group.others[path.holder] = None

    def _keep_the_same(self, group: _Group, new: _Group) -> bool:
        return len(group.held & new.held) >= max(1.0, _SHARED * self._calls)

    def find_second_holders(self) -> None:
        """Find what else holds what the leaking containers hold, where nothing is known yet."""
        for group in self._groups:
            path = group.path
            if path is None or group.rank or group.others or group.is_weak:
                continue
            containers = [container for container, _ in group.containers]
            other = second_holder(
                containers,
                group.held,
                self._marker,
                self._pieces,
                self._search,
                self._new_objects,
            )
            if other is not None and other.holder:
                group.others[other.holder] = None

    def find_hidden_references(self) -> None:
        """Find what of each group would stay if its holder let go."""
        for group in self._groups:
            if group.path is not None and not group.rank:
                group.kept_by_c = kept_by_c(
                    group.held,
                    [container for container, _ in group.containers],
                    self._marker,
                    self._pieces,
                    self._new_objects,
                    self._calls,
                )

    def shared_out(self) -> list[Holding]:
        """Return every group with the blocks that no group before it has."""
        found = []
        claimed: set[int] = set()
        for group in sorted(self._groups, key=lambda group: group.rank):
            held = group.held - claimed
            claimed |= held
            if held or group.path is not None:
                found.append(self._holding(group, held))
        return found

    def _holding(self, group: _Group, held: set[int]) -> Holding:
        objects = self._marker.objects(held)
        buffers = {
            index
            for container, _ in group.containers
            if container is group.growing_container or not group.is_population
            for part in {
                id(part): part for part in (container, *raw.tables(container))
            }.values()
            for index in self._marker.buffers(part) & held
        }
        return Holding(
            path=group.path,
            pieces=self._added_pieces(held - buffers),
            types=NewObjects(objects, set()).count(max(1, math.ceil(STEADY * self._calls))),
            objects=tuple(map(type, objects)),
            growing_container=group.growing_container,
            gained=group.gained,
            attribute_values=tuple(
                self._pieces[index] for index in self._marker.attribute_values(held)
            ),
            buffer=sum(self._pieces[index].size for index in buffers),
            containers=tuple(container for container, _ in group.containers),
            is_population=group.is_population,
            kept_by_c=group.kept_by_c,
            others=tuple(group.others),
        )

    def _added_pieces(self, indices: set[int]) -> tuple[Piece, ...]:
        """Return the blocks, with what was added of those that have moved."""
        shares = self._shares
        changed = with_owners_lines(indices, self._marker, self._pieces)
        changed |= {i: moved(self._pieces[i], shares[i]) for i in indices if i in shares}
        return tuple(changed.get(index, self._pieces[index]) for index in sorted(indices))

    def unclaimed(self) -> set[int]:
        """Return the blocks that no group has, without tables of old containers."""
        claimed: set[int] = set().union(*(group.held for group in self._groups))
        return set(range(len(self._pieces))) - claimed - self._tables

    def registered(self, heaps: Sequence[Heap]) -> list[Heap]:
        """Return the heaps without those of functions registered with atexit.

        The interpreter reports how many there are, and nothing refers to them. So if their
        number grows, blocks that nothing holds belong to them.

        Args:
            heaps: blocks that belong together, though no container holds them.
        """
        registry = next(
            (g for g in self._groups if g.path is not None and is_atexit(g.path)), None
        )
        if registry is None or registry.path is None:
            return list(heaps)
        lost = [
            group
            for group in self._groups
            if (group.path is None and not self._is_of_c_code(group)) or group.holds_nothing
        ]
        theirs = [heap for heap in heaps if heap.path is None and heap.may_be_registered]
        registry.held |= set().union(*(g.held for g in lost), *(heap.held for heap in theirs))
        self._shares.update(exit_functions.table(registry.held, self._marker, registry.gained))
        called = exit_functions.callbacks(registry.held, self._marker)
        registry.path = exit_functions.with_names(registry.path, called)
        self._groups = [group for group in self._groups if group not in lost]
        return [heap for heap in heaps if heap not in theirs]

    def _is_of_c_code(self, group: _Group) -> bool:
        """Return whether a group is a list of functions that C code alone holds; name it then.

        The interpreter has such lists of what is to be called when the process forks.
        """
        for container, _ in group.containers:
            item = self._new_objects.item_of(container)
            if type(container) is list and item and type(item[0]) is FunctionType:
                group.path = retention_path(
                    self._search.chain_from_c_code(container, item),
                    roots=self._search.roots,
                    new=self._new_objects.ids,
                    growing_container=container,
                )
                return True  # not as what grows: leaks of other tests share the list
        return False

    def holding_of(self, heap: Heap) -> Holding:
        """Return blocks that belong together as a holding, though no container holds them.

        Args:
            heap: the blocks.
        """
        return Holding(
            path=heap.path,
            pieces=with_main_line(heap, self._marker, self._pieces),
            types=heap.types,
            objects=tuple(map(type, self._marker.objects(heap.held))),
        )


def _is_reference(held: object) -> bool:
    return issubclass(type(held), ReferenceType)


def _go_by_themselves(objects: Sequence[Any], path: RetentionPath | None) -> bool:
    """Return whether some objects are weak references that go away with what they refer to.

    Abstract classes have sets of such references, with callbacks, for the classes that they
    were asked about. And every class has a dict for its subclasses, which no object refers to.

    Args:
        objects: the objects.
        path: the retention path of the container; ``None`` if no object holds it.
    """
    return bool(objects) and all(
        _is_reference(held)
        and (path is None or ReferenceType.__dict__["__callback__"].__get__(held) is not None)
        for held in objects
    )


def _is_data(container: Any) -> bool:
    """Return whether a container is the ``data`` of a container of weak references."""
    for holder in gc.get_referrers(container):
        if is_weak_container(holder):
            return True
        if type(holder) is dict and holder.get("data") is container:
            return any(map(is_weak_container, gc.get_referrers(holder)))
    return False
