"""Recognises weak references to dead objects, which their owner may remove later."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw
from pytest_memguard.model.leaks import Diagnosis, Verdict

_TYPE: Final = raw.type_name(ReferenceType)
_ALL: Final = 0.9
"""Share of the growing blocks that they must be for nothing else to grow."""
_CALLS: Final = 2
_TRIES: Final = 2
"""Number of tries, because the owner may remove them in one of them."""


def only_dead_references(
    call: Callable[[], None], verdict: Verdict, diagnosis: Diagnosis
) -> bool:
    """Return whether calls leave nothing but dead weak references.

    An SQLite connection, for example, removes them after every 200 cursors.

    Args:
        call: makes one call; called a few times if weak references grow.
        verdict: leaking.
        diagnosis: the cause.
    """
    blocks = next((rate.per_call for rate in verdict.rates if rate.signal == "blocks"), 0.0)
    made = sum(growth.count for growth in diagnosis.types if growth.type == _TYPE)
    if not blocks or made < _ALL * blocks * diagnosis.calls:
        return False
    return any(_dead_from(call) >= _ALL * blocks * _CALLS for _ in range(_TRIES))


def _dead_from(call: Callable[[], None]) -> int:
    """Return how many more there are after a few calls."""
    before = _dead()
    for _ in range(_CALLS):
        call()
    return _dead() - before


def _dead() -> int:
    return sum(type(one) is ReferenceType and one() is None for one in gc.get_objects())
