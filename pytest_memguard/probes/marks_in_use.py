"""Keeps account of the high-water marks in use: each has to know when another resets it."""

from __future__ import annotations

import weakref
from typing import Protocol


class Mark(Protocol):
    """A reader of the kernel's high-water mark, of which each process has one.

    Attributes:
        undisturbed: whether no other reader is in use, and none has reset the mark.
    """

    undisturbed: bool

    def carry(self) -> None:
        """Remember the mark, because it is about to be reset."""


_IN_USE: weakref.WeakSet[Mark] = weakref.WeakSet()


def add(mark: Mark) -> None:
    """Add a reader; if there are others, all of them are disturbed."""
    _IN_USE.add(mark)
    if len(_IN_USE) > 1:
        for each in _IN_USE:
            each.undisturbed = False


def discard(mark: Mark) -> None:
    """Remove a reader."""
    _IN_USE.discard(mark)


def carry_all(mark: Mark) -> None:
    """Have all readers remember the mark, which one of them is about to reset.

    Args:
        mark: that one; it is undisturbed if no other reader is in use any more.
    """
    for each in _IN_USE:
        each.carry()
    mark.undisturbed = len(_IN_USE) == 1
