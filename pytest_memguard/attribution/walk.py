"""The way up from survivors: what has been found to hold them, and which holders come next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from types import FrameType
from typing import Any, Final
from weakref import ReferenceType

_WIDEST: Final = 24
_MOST_REFERRERS: Final = 2_000
_ALIKE: Final = 2
"""Holders that look alike of which one round takes no more before it takes others."""
_CROWD: Final = 16
"""Holders of one object that look alike, beyond which none of them is what holds it."""


class Walk:
    """How far a search has come.

    Attributes:
        nodes: the targets, and what was found above them.
        frontier: positions of the nodes whose holders are asked for next.
    """

    def __init__(self, targets: Sequence[Any], new: Collection[int]) -> None:
        """Begin.

        Args:
            targets: where it starts.
            new: ids of what was not there at the start.
        """
        self.nodes = list(targets)
        self.frontier = list(range(len(self.nodes)))
        self._seen = {id(node) for node in self.nodes}
        self._seen_crowded: set[int] = set()
        self._below = [-1] * len(self.nodes)
        self._new = new
        self._waiting: deque[int] = deque()
        self._crowded: set[int] = set()

    @property
    def own(self) -> set[int]:
        """Ids of what holds objects here."""
        return {id(self.nodes), id(self)}

    @property
    def seen(self) -> set[int]:
        """Ids of what need not be reached again."""
        return self._seen

    def add(self, holder: Any, below: list[int]) -> None:
        """Add what holds nodes, unless it was reached as well before.

        Args:
            holder: an object.
            below: the positions of the nodes that it holds, at least one.
        """
        held = next((index for index in below if index not in self._crowded), None)
        if held is None:
            if id(holder) in self._seen_crowded:
                return
            held = below[0]
        self.nodes.append(holder)
        self._seen.add(id(holder))
        self._below.append(held)

    def pair(self, index: int) -> tuple[Any, Any]:
        """An object and what it holds on the way down."""
        below = self._below[index]
        return (self.nodes[index], None if below < 0 else self.nodes[below])

    def go_on(self, first: int, reached: set[int]) -> None:
        """Go on with so many of the nodes added last, the likelier holders first.

        The others have their turn where these lead nowhere.

        Args:
            first: where those begin.
            reached: nodes at which a root was found.
        """
        added = list(range(first, len(self.nodes)))
        if first:
            looks = [_look(self.nodes[index]) for index in added]
            self._find_crowds(added, looks)
            order = _order([self.nodes[index] for index in added], looks, self._new)
            further = [added[place] for place in order if added[place] not in reached]
            # those of the last level come before those that were left at one below
            self._waiting.extendleft(reversed(further))
            self.frontier = [
                self._waiting.popleft() for _ in range(min(_WIDEST, len(self._waiting)))
            ]
        else:
            self.frontier = [index for index in added if index not in reached]

    def _find_crowds(self, added: list[int], looks: list[Hashable]) -> None:
        """Note which nodes are one of many, or hold what is; they may be reached otherwise."""
        total = Counter(
            (self._below[index], look) for index, look in zip(added, looks, strict=True)
        )
        for index, look in zip(added, looks, strict=True):
            below = self._below[index]
            if below in self._crowded or total[below, look] > _CROWD:
                self._crowded.add(index)
                self._seen_crowded.add(id(self.nodes[index]))
                self._seen.discard(id(self.nodes[index]))

    def objects(self, index: int) -> tuple[Any, ...]:
        """The objects from one of the nodes down."""
        return tuple(self.nodes[place] for place in self._down(index))

    def is_crowded(self, index: int) -> bool:
        """Whether one of them is one of many that look alike and hold the next."""
        return index in self._crowded

    def _down(self, index: int) -> Iterator[int]:
        while index >= 0:
            yield index
            index = self._below[index]


def likeliest(
    referrers: Sequence[Any], new: Collection[int], is_root: Callable[[int], bool]
) -> list[Any]:
    """So many of what refers to something, so that the many do not hide the few.

    What everything refers back to (a session, the root of a tree) has referrers by the
    thousand, most of them alike and many of them new, and one or two that hold it.

    Args:
        referrers: all of them.
        new: ids of what was not there at the start.
        is_root: whether an object is a root for certain, by its id.
    """
    if len(referrers) <= _MOST_REFERRERS:
        return list(referrers)
    chosen = [holder for holder in referrers if is_root(id(holder))]
    old = [holder for holder in referrers if id(holder) not in new]
    fresh = [holder for holder in referrers if id(holder) in new]
    looks = list(map(_look, old)) + list(map(_look, fresh))
    left = dict.fromkeys(looks, max(1, _MOST_REFERRERS // len(set(looks))))
    for holder, look in zip((*old, *fresh), looks, strict=True):
        if left[look]:
            left[look] -= 1
            chosen.append(holder)
    return list({id(holder): holder for holder in chosen}.values())[:_MOST_REFERRERS]


def _order(
    holders: Sequence[Any], looks: Sequence[Hashable], new: Collection[int]
) -> list[int]:
    """The positions of holders, those first that are the likelier to lead to a root.

    A few of each look come before the rest, then what is old before what is new.
    """
    total = Counter(looks)
    so_far: Counter[Hashable] = Counter()
    keys: list[tuple[int, bool, int, int]] = []
    for holder, look in zip(holders, looks, strict=True):
        rounds = so_far[look] // _ALIKE
        so_far[look] += 1
        keys.append((rounds, id(holder) in new, _likelihood(holder), total[look]))
    return sorted(range(len(keys)), key=keys.__getitem__)


def _look(holder: Any) -> Hashable:
    """What holders of one kind have in common: the type, and of a dict length and first key."""
    kind = type(holder)
    if kind is not dict:
        return id(kind)  # hashing a type may run code of its metaclass's
    try:
        return (len(holder), id(next(iter(holder), None)))
    except RuntimeError:  # another thread changed it meanwhile
        return len(holder)


def _likelihood(holder: Any) -> int:
    kind = type(holder)
    if kind is dict and "__module__" in holder and "__doc__" in holder:
        return -1  # a class's, most likely: there is less of them than of instances
    if kind is FrameType:
        return 3
    if kind is tuple or kind is list or issubclass(kind, ReferenceType):
        return 1
    return 0
