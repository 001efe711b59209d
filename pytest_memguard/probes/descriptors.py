"""Descriptors that stay open for the whole run, although code may close all descriptors."""

from __future__ import annotations

import itertools
import os
import sys
from typing import Final

_ABOVE_OTHERS: Final = 512
# Numbers of signals that no programme is sent by a file.
_LABELS: Final = itertools.cycle(range(64, 34, -1))


class OwnDescriptor:
    """A descriptor of ours, with a number so high that no other file gets it by chance.

    Every open file stores the number of a signal, used only if it sends signals (fcntl's
    F_SETSIG). We store a label of our own there: reading it takes a quarter of the time of
    fstat.

    Args:
        number: the descriptor as it was opened; it is moved.

    Attributes:
        number: the number now.
        label: its label.
    """

    __slots__ = ("_ask", "_close", "_question", "label", "number")

    def __init__(self, number: int) -> None:
        import fcntl  # not on Windows

        # held here, not looked up: tests replace what they find in modules
        self._ask, self._question, self._close = fcntl.fcntl, fcntl.F_GETSIG, os.close
        self.label = next(_LABELS)
        try:
            fcntl.fcntl(number, fcntl.F_SETSIG, self.label)
            try:
                self.number = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _ABOVE_OTHERS)
            except OSError:
                self.number = os.dup(number)  # the limit on descriptors is lower than that
        finally:
            os.close(number)

    def is_ours(self) -> bool:
        """Return whether it is open, and its number does not belong to another file."""
        try:
            return self._ask(self.number, self._question) == self.label
        except OSError:
            return False

    def close(self) -> None:
        """Close it, unless its number belongs to another file."""
        if self.is_ours():
            self._close(self.number)


class CheckedDescriptor:
    """An open file that is recognised by what it is, where it can bear no label.

    Args:
        number: its descriptor.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._label = self._identity()

    def is_ours(self) -> bool:
        """Return whether it is open, and its number does not belong to another file."""
        try:
            return self._identity() == self._label
        except OSError:
            return False

    def close(self) -> None:
        """Close it, unless its number belongs to another file."""
        if self.is_ours():
            os.close(self.number)

    def _identity(self) -> tuple[int, int]:
        found = os.fstat(self.number)
        return found.st_dev, found.st_ino


def kept_open(number: int) -> OwnDescriptor | CheckedDescriptor:
    """Return what keeps an open file of ours apart from files that get its number later.

    Args:
        number: its descriptor; it may be moved.
    """
    return OwnDescriptor(number) if sys.platform == "linux" else CheckedDescriptor(number)
