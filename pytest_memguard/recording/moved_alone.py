"""Tells tables of old containers that have moved from the tables of new containers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import compress

from pytest_memguard.probes.surviving_blocks import SurvivingBlocks

Place = tuple[str, str]
"""A function and its file."""


def moved_alone(surviving: Iterable[SurvivingBlocks]) -> Counter[Place]:
    """Return how many tables may have moved in each function, besides those of new containers.

    A new container usually gets its first table in the function that makes it, and is a block
    itself: there are as many other blocks.

    Args:
        surviving: all blocks that some calls have left behind.
    """
    alone: Counter[Place] = Counter()
    for one in surviving:
        if one.of_python and one.stack:
            alone[_place_of(one)] += one.count if one.may_have_moved else -one.count
    return +alone


def with_added(surviving: Iterable[SurvivingBlocks], added: int) -> list[SurvivingBlocks]:
    """Return the blocks, tables of old containers with the bytes that were added to them.

    They have taken the place of others, so they are no blocks that stay. A trace would show
    what was added to each; without one, each gets a share by its size.

    Args:
        surviving: all blocks that some calls have left behind.
        added: the bytes that were added to all tables.
    """
    several = list(surviving)
    alone = moved_alone(several)
    moved = [one.may_have_moved and _place_of(one) in alone for one in several]
    whole = sum(one.size for one in compress(several, moved))
    return [
        _as_tables(one, added / whole) if has_moved else one
        for one, has_moved in zip(several, moved, strict=True)
    ]


def _as_tables(blocks: SurvivingBlocks, share: float) -> SurvivingBlocks:
    return replace(
        blocks,
        count=0,
        size=round(share * blocks.size),
        small=round(share * blocks.small),
        tables=blocks.count,
    )


def _place_of(blocks: SurvivingBlocks) -> Place:
    """Return the function that allocated some blocks."""
    function, file, _ = blocks.stack[0] if blocks.stack else ("", "", 0)
    return (function, file)
