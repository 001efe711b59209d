"""Finds what keeps an object alive: the shortest chain of references from a root to it."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Collection, Sequence
from types import FrameType, FunctionType
from typing import Any, Final
from weakref import ReferenceType, WeakKeyDictionary

from pytest_memguard.attribution import naming, raw
from pytest_memguard.attribution.caches import Bound, bounded_by
from pytest_memguard.attribution.constant_keys import is_constant, written_key
from pytest_memguard.attribution.edges import ChainStep, follow
from pytest_memguard.attribution.leak_lines import is_our_file
from pytest_memguard.attribution.owners import Claim, claim
from pytest_memguard.attribution.registries import kind_in_context, shared_name
from pytest_memguard.attribution.replaced_handlers import leads_to_its_like
from pytest_memguard.attribution.roots import (
    LAST_RESORT,
    PARAMETERS,
    Root,
    Roots,
    local_variables,
)
from pytest_memguard.attribution.session_owners import Owners
from pytest_memguard.attribution.walk import Walk, likeliest
from pytest_memguard.model.leaks import RetentionPath
from pytest_memguard.values import dataclass

_LEVELS: Final = 60
_SURE_LEVELS: Final = 6
_FURTHER: Final = 5
"""After a level at which only one of many alike leads to a root, so many levels may follow."""
_TO_A_MARK: Final = 6
"""After a level at which only the parameters of a test are found, so many levels follow
whatever the time: a mark of the test has them too, and time must not decide the name."""
_MOST_REACHED: Final = 2_000
_OWN_PARAMETER: Final = "an argument of a mark: the test grows its own parameter"
_OURS: Final = "pytest_memguard."
_WEAK_KEY: Final = "held by the value of its own weak key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Objects of which each holds the next, and the root where they start."""

    root: Root
    """The root."""
    objects: tuple[Any, ...]
    """The objects, from the root down."""
    lead: ChainStep | None = None
    """How the root holds the first object, if the root is no object itself."""
    crowded: bool = False
    """Whether one of them is one of many alike: what all of them refer to is not theirs."""


class Search:
    """Searches for what holds an object, level by level, until a root is reached.

    Each level is one scan of the heap for objects that refer to any of a few objects.
    """

    def __init__(
        self,
        *,
        avoid: set[int],
        deadline: float,
        owners: Owners = (),
        new: Collection[int] = frozenset(),
        lost: bool = True,
        roots: Roots | None = None,
        imports: bool = False,
    ) -> None:
        """Prepare a search.

        Args:
            avoid: ids of objects that hold others only for the search itself.
            deadline: by `time.thread_time`; no new level is begun after it.
            owners: parts of the test runner that keep things for a whole session.
            new: ids of objects that did not exist at the start, as far as known: new objects
                refer back to what holds them, so old ones are examined first.
            lost: whether a container counts as a holder that only C code holds.
            imports: whether new modules are such that stay: a first call imports them.
                Otherwise each call makes some, and `sys.modules` holds them.
            roots: those of a search just before, if there was one: to find them takes as long
                as some levels do.
        """
        self._names_lost = lost
        self._imports = imports
        self.deadline = deadline
        self._new = new
        self._avoid = avoid | stack_frames()
        self.roots = roots or Roots(owners)
        self.timed_out = False

    def without(self, ids: set[int]) -> Search:
        """Return another search until the same time, which ignores more objects.

        Args:
            ids: theirs.
        """
        return Search(
            avoid=self._avoid | ids, deadline=self.deadline, new=self._new, roots=self.roots
        )

    def leave_out(self, ids: set[int]) -> None:
        """Ignore more objects, which hold others only for the search itself."""
        self._avoid |= ids

    def leaves_out(self, held: object) -> bool:
        """Return whether an object is ignored."""
        return id(held) in self._avoid

    def chains(self, targets: Sequence[Any]) -> list[Chain]:
        """Return the shortest chains to any of the targets, the most informative first.

        If the time is over before a root is found that surely holds them, no other one is
        taken in its place.

        Args:
            targets: new objects, or a container that grew.
        """
        walk = Walk(targets, self._new)
        self._avoid |= walk.own
        found = [_chain(walk, root, i) for i, root in self._roots_of(walk, 0)]
        last_resort: list[Chain] = []
        crowded: list[Chain] = []
        levels, sure = _LEVELS, _SURE_LEVELS
        late = False
        for level in range(_LEVELS):
            if found or not walk.frontier or level >= levels:
                break
            # the nearest holders are looked up whatever the time: most say it all
            late = level >= sure and self._late()
            if late:
                break
            first = self._climb(walk)
            reached = [_chain(walk, root, i) for i, root in self._roots_of(walk, first)]
            if not last_resort and _are_parameters(reached):
                sure = max(sure, level + _TO_A_MARK)
            last_resort += [chain for chain in reached if chain.root.rank == LAST_RESORT]
            found = [chain for chain in reached if chain.root.rank < LAST_RESORT]
            if _are_parameters(last_resort):
                # all other ways to them go through pytest, but a mark names the test
                found = [chain for chain in found if any(map(_is_mark, chain.objects))]
            if found and all(chain.crowded for chain in found):
                # one of a thousand that refer back is not what holds it
                crowded, found = crowded or found, []
                levels = min(levels, level + _FURTHER)
        if late and not found:
            return last_resort if _are_parameters(last_resort) else []
        found = found or crowded
        if not found and not _are_parameters(last_resort):
            found = _variable_of(walk)
        return sorted(found or last_resort, key=self._claim)

    def _claim(self, chain: Chain) -> tuple[bool, Claim]:
        root, objects = chain.root, chain.objects
        rank = claim(root.rank, root.name, self.roots.whole(objects[0]), objects)
        return (chain.crowded, rank)

    def chain_if_unheld(self, target: Any, item: tuple[Any, ...]) -> Chain | None:
        """Return a chain from C code to a container that nothing else holds.

        A container of weak references holds nothing: classes have one of their subclasses.

        Args:
            target: a container that grew and for which no root was found.
            item: what it holds, if the chain is to include it.
        """
        if not self._names_lost or not item or issubclass(type(item[0]), ReferenceType):
            return None
        for holder in gc.get_referrers(target):
            if id(holder) not in self._avoid and type(holder) is not FrameType:
                return None
        return self.chain_from_c_code(target, item)

    @staticmethod
    def chain_from_c_code(target: Any, item: tuple[Any, ...]) -> Chain:
        """Return a chain from C code to a container of which it is known that it holds it.

        Args:
            target: the container, which grew.
            item: what it holds.
        """
        kinds = [raw.type_name(type(held)) for held in (target, *item)]
        if type(item[0]) is FunctionType:  # one such list is not like another
            kinds[-1] = f"functions such as {naming.callable_name(item[0])}"
        words = f"a {' of '.join(kinds)} that C code alone holds"
        return Chain(root=Root(words=words, name=words, rank=8), objects=(target, *item))

    def _late(self) -> bool:
        self.timed_out = time.thread_time() > self.deadline
        return self.timed_out

    def _roots_of(self, walk: Walk, first: int) -> list[tuple[int, Root]]:
        known = [
            (i, self.roots.of(*walk.pair(i)))
            for i in range(first, len(walk.nodes))
            # what each call puts in the place of its like has a name, and holds no leak
            if not (id(walk.nodes[i]) in self._new and self._takes_a_place(walk.nodes[i]))
        ]
        found = [(i, root) for i, root in known if root is not None]
        walk.go_on(first, {i for i, _ in found})
        return found

    def _takes_a_place(self, held: Any) -> bool:
        """Return whether a new object has a place that one like it had before.

        A handler of a signal that leads to earlier ones, because each call wraps the last one,
        holds them.
        """
        if self.roots.is_handler(held):
            return not leads_to_its_like(held, self._new)
        return _has_a_name(held) or (not self._imports and self.roots.is_module(id(held)))

    def _climb(self, walk: Walk) -> int:
        """Add the objects that refer to the frontier; return the index of the first."""
        first = len(walk.nodes)
        wanted = {id(walk.nodes[i]): i for i in walk.frontier}
        held = tuple(walk.nodes[i] for i in walk.frontier)
        walk.frontier = []
        # the call's own tuple is not among what it finds
        referrers = gc.get_referrers(*held)
        known = self._avoid | walk.seen | {id(held), id(referrers)}
        referrers = [
            holder for holder in referrers if id(holder) not in known and not _is_ours(holder)
        ]
        for holder in likeliest(referrers, self._new, self.roots.is_module):
            # in the order in which it has them, which is the same every time
            hits = dict.fromkeys(filter(wanted.__contains__, map(id, raw.referents(holder))))
            # an instance holds its type, which says nothing of why the type stays
            hits.pop(id(type(holder)), None)
            if hits:
                walk.add(holder, list(map(wanted.__getitem__, hits)))
        return first


def _chain(walk: Walk, root: Root, index: int, lead: ChainStep | None = None) -> Chain:
    crowded = walk.is_crowded(index)
    return Chain(root=root, objects=walk.objects(index), lead=lead, crowded=crowded)


def _has_a_name(held: object) -> bool:
    """Return whether it is a function or class, which a module may have under its own name."""
    kind = type(held)
    return kind is FunctionType or kind is raw.LRU_CACHE or issubclass(kind, type)


def _are_parameters(chains: list[Chain]) -> bool:
    return any(chain.root.name == PARAMETERS for chain in chains)


def _is_mark(held: object) -> bool:
    return raw.class_name(type(held)) == ("_pytest.mark.structures", "Mark")


def _is_ours(held: object) -> bool:
    """Return whether it is an object of this package, which holds others to measure them.

    A frame of this package is one too, and a traceback of the test may keep it alive.
    """
    if type(held) is FrameType:
        return is_our_file(held.f_code.co_filename)
    return raw.class_name(type(held))[0].startswith(_OURS)


def stack_frames() -> set[int]:
    """Return the ids of the current thread's frames, which hold objects only for a while."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # as inspect does
    found = set()
    while frame is not None:
        found.add(id(frame))
        frame = frame.f_back
    return found


def _variable_of(walk: Walk) -> list[Chain]:
    """Return a chain that starts in a local variable of a running function.

    The garbage collector does not see those while the function runs.
    """
    known = local_variables()
    ranked = [
        (known[id(node)].root.rank, index)
        for index, node in enumerate(walk.nodes)
        if id(node) in known
    ]
    if not ranked:
        return []
    index = min(ranked)[1]
    variable = known[id(walk.nodes[index])]
    words = f"local variable {variable.name} of {naming.frame_words(variable.frame)}"
    stable = f"{variable.frame.f_code.co_name}, local variable {variable.name}"
    if not variable.root.name:
        words = f"local variable {variable.name}"
    lead = ChainStep(words=words, name=stable)
    return [_chain(walk, variable.root, index, lead)]


def retention_path(
    chain: Chain, *, roots: Roots, new: set[int], growing_container: object = None
) -> RetentionPath:
    """Return a chain in words.

    Args:
        chain: from a root to a new object.
        roots: the roots that it was found with.
        new: ids of objects that did not exist at the start.
        growing_container: the container on the chain that grew; ``None`` if none did.
    """
    objects = [roots.whole(chain.objects[0]), *chain.objects]
    if objects[0] is objects[1]:
        del objects[0]
    grown_at = next((i for i, held in enumerate(objects) if held is growing_container), None)
    steps, name, last = [chain.root.words], chain.root.name, ""
    if chain.lead is None and (grown_at == 0 or type(objects[0]) is raw.LRU_CACHE):
        steps = [f"{chain.root.words} ({naming.fill(objects[0])})"]
    if chain.lead is not None:
        steps.append(f"{chain.lead.words} ({naming.described(objects[0])})")
        name += chain.lead.name
    at = 0
    while at < len(objects) - 1:
        step = follow(objects[at:])
        if _names_holder(objects, at, step, grown_at, new):
            part = _step_name(step, name, is_new=id(objects[at + step.length]) in new)
            name, last = name + part, part or last
        at += step.length
        steps += _words(step, objects[at])
    if grown_at is None:
        # which of a container's items were replaced is not named either
        name = name.removesuffix(last) if last.startswith("[") else name
    bound = _bounded(objects, grown_at, name)
    return RetentionPath(
        steps=tuple(steps),
        holder=shared_name(name, objects, new),
        bounded="" if bound is None else bound.words,
        limit=0 if bound is None else bound.limit,
        enforced=bound is not None and bound.enforced,
        never_evicts=bool(kind_in_context(objects, new)),
        owner=chain.root.owner or roots.owner_of(chain.root, objects[: grown_at or 0]),
        of_globals=grown_at is not None and roots.is_module(id(growing_container)),
        remark=_remark(objects, grown_at, roots) or _OWN_PARAMETER * (".pytestmark" in name),
    )


def _step_name(step: ChainStep, name: str, *, is_new: bool) -> str:
    """Return what a step adds to the name of a holder: the key of a dict, if it is constant.

    Args:
        step: the step.
        name: the name so far.
        is_new: whether it leads to an object that did not exist at the start.
    """
    if step.key is None or is_new or not is_constant(step.key, name):
        return step.name
    return written_key(step.key)


def _names_holder(
    objects: list[Any], at: int, step: ChainStep, grown_at: int | None, new: set[int]
) -> bool:
    """Return whether a step is on the way to what grows, or to what was replaced."""
    if grown_at is not None:
        return at + step.length <= grown_at
    return at == 0 or not any(id(held) in new for held in objects[1 : at + 1])


def _words(step: ChainStep, held: Any) -> list[str]:
    if not step.words:
        return []
    if step.attribute:
        return [f"{step.words} ({naming.described(held)})"]
    return [step.words, naming.described(held)]


def _owners(objects: list[Any], grown_at: int) -> list[Any]:
    """Return what a container belongs to: what has it as an attribute, and what that wraps."""
    before = objects[max(0, grown_at - 2) : grown_at]
    if len(before) == 2 and raw.instance_dict(before[0]) is not before[1]:
        del before[0]
    return before[::-1]


def _bounded(objects: list[Any], grown_at: int | None, name: str) -> Bound | None:
    if grown_at is None:
        return None
    return bounded_by(objects[grown_at], _owners(objects, grown_at), name=name)


def _remark(objects: list[Any], grown_at: int | None, roots: Roots) -> str:
    """Return a remark if a value in a dict with weak keys holds its own key."""
    for owner in _owners(objects, grown_at) if grown_at is not None else ():
        if any(cls is WeakKeyDictionary for cls in raw.mro(type(owner))):
            for reference, value in raw.items(objects[grown_at or 0])[-3:]:
                key = ReferenceType.__call__(reference)
                if key is not None and _reaches(value, key, roots):
                    return _WEAK_KEY
    return ""


def _reaches(start: object, end: object, roots: Roots) -> bool:
    seen: set[int] = set()
    frontier = [start]
    while frontier and len(seen) < _MOST_REACHED:
        if any(held is end for held in frontier):
            return True
        seen.update(map(id, frontier))
        # what has a name of its own is not held by the value
        nameless = [held for held in frontier if roots.of(held) is None]
        frontier = [held for held in raw.referents(*nameless) if id(held) not in seen]
        frontier = frontier[:_MOST_REACHED]
    return False
