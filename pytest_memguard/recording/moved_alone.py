"""Tells tables of old containers that have moved from the tables of new containers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

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
            alone[place_of(one)] += one.count if one.may_have_moved else -one.count
    return +alone


def place_of(blocks: SurvivingBlocks) -> Place:
    """Return the function that allocated some blocks.

    Args:
        blocks: with a stack.
    """
    function, file, _ = blocks.stack[0]
    return (function, file)
