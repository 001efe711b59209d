"""A listener lives until the next call, and hears what each call says until it is collected."""

from __future__ import annotations

import weakref
from typing import Final


class _Listener:
    """Refers to itself, so that only the garbage collector frees it."""

    def __init__(self) -> None:
        """Listen."""
        self.me = self
        self.heard: list[object] = []


_LISTENERS: Final = weakref.WeakSet[_Listener]()
_LATEST: Final = dict[str, _Listener]()


def test_says_something() -> None:
    """One listener in place of the one before."""
    for listener in _LISTENERS:
        listener.heard.append(object())
    _LATEST["listener"] = _Listener()
    _LISTENERS.add(_LATEST["listener"])
