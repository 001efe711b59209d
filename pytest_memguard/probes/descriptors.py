"""Descriptors kept open for the whole run, which code that closes them all may close."""

from __future__ import annotations

import itertools
import os
from typing import Final

_ABOVE_OTHERS: Final = 512
# Numbers of signals that no programme is sent by a file.
_LABELS: Final = itertools.cycle(range(64, 34, -1))


class OwnDescriptor:
    """A descriptor of ours, at a number high enough that no other file gets it by chance.

    Every open file has a place for the number of a signal, used only by files that send one
    (fcntl's F_SETSIG). Each of ours bears a label of its own there; reading that takes a
    quarter of the time of fstat.

    Args:
        number: the descriptor as it was opened; it is moved.

    Attributes:
        number: where it is now.
        label: what it bears.
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
        """Whether it has not been closed, nor its number been given to another file."""
        try:
            return self._ask(self.number, self._question) == self.label
        except OSError:
            return False

    def close(self) -> None:
        """Close it, unless its number belongs to another file by now."""
        if self.is_ours():
            self._close(self.number)
