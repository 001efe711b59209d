"""Lets signals end a watch in good order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")


class EndSignals:
    """The signals by which a user ends a watch; a second one ends it at once.

    Attributes:
        number: that of the first signal; 0 as long as there was none.
        end_waits: whether it raises ``InterruptedError``, because something is waited for.
    """

    def __init__(self) -> None:
        self.number = 0
        self.end_waits = False

    @contextlib.contextmanager
    def noticed(self) -> Iterator[None]:
        """Take note of signals until the end of the block.

        Raises:
            KeyboardInterrupt: in the block, at the second signal.
        """
        before = {}
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                before[number] = signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        if self.end_waits:
            raise InterruptedError
