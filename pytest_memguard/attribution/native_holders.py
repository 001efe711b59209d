"""Objects of C code whose own memory leads to what stayed: a connection with its functions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.marking import Marker

_HOPS: Final = 2
_MOST: Final = 1_000
_SHARE: Final = 0.5
"""Share of the blocks that must be reached from an object for it to be their holder."""


def native_holder(
    held: set[int],
    marker: Marker,
    objects: Iterable[Any],
    leave_out: set[int],
    deadline: float,
) -> Any:
    """The object whose memory leads to most of some blocks; None if none does.

    Its own fields are followed, and the blocks that they point to, which were there before.

    Args:
        held: indices of the blocks.
        marker: reads memory, and knows what refers to what.
        objects: those that the garbage collector follows.
        leave_out: ids of objects that are not asked about.
        deadline: by `time.thread_time`.
    """
    known = [
        holder
        for holder in objects
        if _is_of_c_code(type(holder))
        and id(holder) not in leave_out
        and not marker.is_new(holder)
    ]
    counts = Counter(map(id, map(type, known)))
    # of what there is much of, hardly any is a holder
    known.sort(key=lambda holder: counts[id(type(holder))])
    for holder in known[:_MOST]:
        if time.thread_time() > deadline:
            return None
        if len(_led_to(holder, marker, held)) >= _SHARE * len(held):
            return holder
    return None


def _is_of_c_code(kind: type) -> bool:
    """Whether objects of a type have fields that only C code knows."""
    if issubclass(kind, type):
        return False
    return not raw.is_made_in_python(kind) and raw.class_name(kind)[0] != "builtins"


def _led_to(holder: Any, marker: Marker, held: set[int]) -> set[int]:
    found: set[int] = set()
    addresses = set(marker.words_at(id(holder), raw.basic_size(type(holder))))
    for hop in range(_HOPS):
        for address in addresses:
            for index in marker.blocks_at(address, marker.chunk_size(address)) & held - found:
                found |= marker.reached(index) & held
        if found or hop + 1 == _HOPS:
            break
        addresses = {
            word
            for address in addresses
            for word in marker.words_at(address, marker.chunk_size(address))
        }
    return found
