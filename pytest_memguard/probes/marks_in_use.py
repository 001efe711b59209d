"""The high-water marks of this process that are in use, one inside the other, say."""

from __future__ import annotations

import weakref
from typing import Protocol


class Mark(Protocol):
    """A reader of the kernel's mark, of which there is one for each process.

    Attributes:
        undisturbed: whether no other is in use, and none has reset the kernel's mark.
    """

    undisturbed: bool

    def carry(self) -> None:
        """Note where the kernel's mark is: it is about to be reset."""


_IN_USE: weakref.WeakSet[Mark] = weakref.WeakSet()


def add(mark: Mark) -> None:
    """Count one more, and tell all of them that they are not alone, if so."""
    _IN_USE.add(mark)
    if len(_IN_USE) > 1:
        for each in _IN_USE:
            each.undisturbed = False


def discard(mark: Mark) -> None:
    """Count one less."""
    _IN_USE.discard(mark)


def carry_all(mark: Mark) -> None:
    """Have each note where the kernel's mark is, which one of them is about to reset.

    Args:
        mark: that one; it is alone again if no other is in use any more.
    """
    for each in _IN_USE:
        each.carry()
    mark.undisturbed = len(_IN_USE) == 1
