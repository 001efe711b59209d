"""What objects refer to, and how many references there are to them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from pytest_memguard.attribution import raw


def reference_counts(held_objects: Sequence[Any]) -> list[int]:
    """Return how many references some objects have, without those from here.

    Args:
        held_objects: the objects; that they are in this sequence does not count.
    """
    return [sys.getrefcount(held) - _FROM_HERE for held in held_objects]


_FROM_HERE = 0  # until it is known
_HOLDER: Final[list[Any]] = [{}]
_FROM_HERE = reference_counts(raw.referents(_HOLDER))[0] - 1


def referents(held: Any) -> list[Any]:
    """Return what an object refers to.

    The garbage collector leaves out keys of a dict that are text.
    """
    keys = [key for key, _ in raw.items(held)] if issubclass(type(held), dict) else []
    return [*raw.referents(held), *keys]
