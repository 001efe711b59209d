"""Distinguishes a handler that each call replaces from one that leads to the earlier ones."""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType, MethodType
from typing import Any, Final

from pytest_memguard.attribution import raw

_MOST_REACHED: Final = 5_000


def leads_to_its_like(handler: Any, new: Collection[int]) -> bool:
    """Return whether a handler leads to another one with the same code, through new objects.

    Args:
        handler: the handler, which is new.
        new: ids of the new objects.
    """
    code = _code_of(handler)
    seen = {id(handler)}
    frontier = [handler]
    while frontier and len(seen) < _MOST_REACHED:
        fresh = {
            id(held): held
            for held in raw.referents(*frontier)
            if id(held) in new and id(held) not in seen
        }
        frontier = list(fresh.values())
        if any(_code_of(held) is code for held in frontier):
            return True
        seen |= fresh.keys()
    return False


def _code_of(held: Any) -> object:
    """Return the code of a function or method; the type of anything else."""
    if type(held) is MethodType:
        held = held.__func__
    return held.__code__ if type(held) is FunctionType else type(held)
