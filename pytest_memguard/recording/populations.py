"""Joins the causes of many containers in one holder, if each call adds to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.model.leaks import TypeGrowth

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause

_FEWEST: Final = 8
"""From so many containers below a growing one on, all are one leak: half as many as calls made,
each of which may have added one."""
_DEPTH: Final = 5
_MOST: Final = 20_000
_LEADS_ELSEWHERE: Final = (type, ModuleType, FunctionType)
"""Types whose objects refer to far more than they hold."""


def without_populations(causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes; those of many containers in another one are joined to it.

    Args:
        causes: the holders and lines that leak.
    """
    found = list(causes)
    for home in causes:
        members = _held_by(home, found) if len(found) > _FEWEST else []
        if len(members) >= _FEWEST:
            out = set(map(id, (home, *members)))
            others = [cause for cause in found if id(cause) not in out]
            found = [replace(combined(home, members), is_population=True), *others]
    return found


def combined(first: Cause, others: Sequence[Cause]) -> Cause:
    """Return a cause with what others keep added.

    Args:
        first: the cause whose holder is named.
        others: causes of the same leak.
    """
    every = (first, *others)
    signals = {signal for cause in every for signal in cause.per_call}
    pieces = tuple(piece for cause in every for piece in cause.pieces)
    values = tuple(one for cause in every for one in cause.holding.attribute_values)
    types = _added(growth for cause in every for growth in cause.holding.types)
    return replace(
        first,
        pieces=pieces,
        holding=replace(first.holding, pieces=pieces, types=types, attribute_values=values),
        per_call={s: sum(c.per_call.get(s, 0.0) for c in every) for s in signals},
    )


def _added(types: Iterable[TypeGrowth]) -> tuple[TypeGrowth, ...]:
    """Return the growth of types, with several entries of one type added up."""
    found: dict[str, TypeGrowth] = {}
    for growth in types:
        known = found.get(growth.type)
        found[growth.type] = (
            growth
            if known is None
            else replace(known, count=known.count + growth.count, size=known.size + growth.size)
        )
    return tuple(found.values())


def _held_by(home: Cause, causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes whose containers the container of another one holds, on short paths."""
    if home.holding.growing_container is None or not any(cause is home for cause in causes):
        return []
    below = _reached(home.holding.growing_container)
    return [
        cause
        for cause in causes
        if cause is not home and id(cause.holding.growing_container) in below
    ]


def _reached(container: Any) -> set[int]:
    seen = {id(container)}
    found: set[int] = set()
    level = [container]
    for _ in range(_DEPTH):
        fresh = {id(held): held for held in raw.referents(*level) if id(held) not in seen}
        seen |= fresh.keys()
        found |= fresh.keys()
        level = [one for one in fresh.values() if not issubclass(type(one), _LEADS_ELSEWHERE)]
        if not level or len(found) > _MOST:
            break
    return found
