"""The search upwards from new objects: which holders were found, and which come next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from types import FrameType
from typing import Any, Final
from weakref import ReferenceType

_WIDEST: Final = 24
_MOST_REFERRERS: Final = 2_000
_ALIKE: Final = 2
"""One round takes so many holders that look alike before it takes others."""
_CROWD: Final = 16
"""If more holders of one object look alike, none of them is what really holds it."""


class Walk:
    """The state of a search.

    Attributes:
        nodes: the targets, and the objects found above them.
        frontier: positions of the nodes whose holders come next.
    """

    def __init__(self, targets: Sequence[Any], new: Collection[int]) -> None:
        """Begin a search.

        Args:
            targets: where it starts.
            new: ids of objects that did not exist at the start.
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
        """Return the ids of objects here that hold others."""
        return {id(self.nodes), id(self)}

    @property
    def seen(self) -> set[int]:
        """Return the ids of objects that need not be reached again."""
        return self._seen

    def add(self, holder: Any, below: list[int]) -> None:
        """Add an object that holds nodes, unless it was reached as well before.

        Args:
            holder: the object.
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
        """Return an object, and what it holds on the way down."""
        below = self._below[index]
        return (self.nodes[index], None if below < 0 else self.nodes[below])

    def go_on(self, first: int, reached: set[int]) -> None:
        """Continue with a number of the nodes added last, the likelier holders first.

        The others follow if these lead nowhere.

        Args:
            first: where those begin.
            reached: nodes at which a root was found.
        """
        added = list(range(first, len(self.nodes)))
        if first:
            shapes = [_shape(self.nodes[index]) for index in added]
            self._find_crowds(added, shapes)
            order = _order([self.nodes[index] for index in added], shapes, self._new)
            further = [added[place] for place in order if added[place] not in reached]
            # those of the last level come before those that were left at one below
            self._waiting.extendleft(reversed(further))
            self.frontier = [
                self._waiting.popleft() for _ in range(min(_WIDEST, len(self._waiting)))
            ]
        else:
            self.frontier = [index for index in added if index not in reached]

    def _find_crowds(self, added: list[int], shapes: list[Hashable]) -> None:
        """Note which nodes are one of many alike, or hold such a node."""
        total = Counter(
            (self._below[index], shape) for index, shape in zip(added, shapes, strict=True)
        )
        for index, shape in zip(added, shapes, strict=True):
            below = self._below[index]
            if below in self._crowded or total[below, shape] > _CROWD:
                self._crowded.add(index)
                self._seen_crowded.add(id(self.nodes[index]))
                self._seen.discard(id(self.nodes[index]))

    def objects(self, index: int) -> tuple[Any, ...]:
        """Return the objects from one of the nodes down."""
        return tuple(self.nodes[place] for place in self._down(index))

    def is_crowded(self, index: int) -> bool:
        """Return whether one of them is one of many that look alike and hold the next."""
        return index in self._crowded

    def _down(self, index: int) -> Iterator[int]:
        while index >= 0:
            yield index
            index = self._below[index]


def likeliest(
    referrers: Sequence[Any], new: Collection[int], is_root: Callable[[int], bool]
) -> list[Any]:
    """Return a number of referrers, chosen so that many alike do not hide the few others.

    An object that everything refers back to (a session, the root of a tree) has thousands of
    referrers. Most of them are alike, many of them new, and one or two hold it.

    Args:
        referrers: all of them.
        new: ids of objects that did not exist at the start.
        is_root: returns whether an object is certainly a root, by its id.
    """
    if len(referrers) <= _MOST_REFERRERS:
        return list(referrers)
    chosen = [holder for holder in referrers if is_root(id(holder))]
    old = [holder for holder in referrers if id(holder) not in new]
    fresh = [holder for holder in referrers if id(holder) in new]
    shapes = list(map(_shape, old)) + list(map(_shape, fresh))
    left = dict.fromkeys(shapes, max(1, _MOST_REFERRERS // len(set(shapes))))
    for holder, shape in zip((*old, *fresh), shapes, strict=True):
        if left[shape]:
            left[shape] -= 1
            chosen.append(holder)
    return list({id(holder): holder for holder in chosen}.values())[:_MOST_REFERRERS]


def _order(
    holders: Sequence[Any], shapes: Sequence[Hashable], new: Collection[int]
) -> list[int]:
    """Return the positions of holders, the likelier to lead to a root first.

    A few of each shape come before the rest, and old ones before new ones.
    """
    total = Counter(shapes)
    so_far: Counter[Hashable] = Counter()
    keys: list[tuple[int, bool, int, int]] = []
    for holder, shape in zip(holders, shapes, strict=True):
        rounds = so_far[shape] // _ALIKE
        so_far[shape] += 1
        keys.append((rounds, id(holder) in new, _likelihood(holder), total[shape]))
    return sorted(range(len(keys)), key=keys.__getitem__)


def _shape(holder: Any) -> Hashable:
    """Return what holders of one kind share: type, and length and first key of a dict."""
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
