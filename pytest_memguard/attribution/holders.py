"""Finds what holds a container that grew: the path to it, the same one every time."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import Any, Final

from pytest_memguard.attribution.containers import Containers
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.retention import Chain, Search, retention_path
from pytest_memguard.model.leaks import RetentionPath

_MOST_TIES: Final = 3
_PARTS: Final = (".", "[", ",")
"""What a name continues with for a part of what it names."""


def holder_of(
    containers: Containers, new_objects: NewObjects, search: Search
) -> tuple[RetentionPath, object, int] | None:
    """Return the path to the most informative container, the container, and its growth.

    Args:
        containers: the containers that grew, the most informative first.
        new_objects: the new objects.
        search: searches for holders.
    """
    best: list[tuple[str, RetentionPath, object, int]] = []
    key = None
    for index, its_key in enumerate(containers.keys):
        container = containers.objects[index]
        if best and (its_key != key or len(best) >= _MOST_TIES):
            break
        for chain in _chains_to(container, new_objects, search):
            path = retention_path(
                chain, roots=search.roots, new=new_objects.ids, growing_container=container
            )
            key = its_key
            best.append((path.holder, path, container, -its_key[2]))
    if not best:
        return None
    # of containers that grow alike, the same one has to be named every time
    _, path, growing_container, gained = min(best, key=itemgetter(0))
    return path, growing_container, gained


def is_below(name: str, other: str) -> bool:
    """Return whether one holder is a part of what another one holds, by their names."""
    return name.startswith(other) and name.removeprefix(other).startswith(_PARTS)


def _chains_to(container: Any, new_objects: NewObjects, search: Search) -> list[Chain]:
    """Return a chain to an item of a container, if there is one."""
    item = new_objects.item_of(container)
    found = search.chains([container])[:1]
    if not found and not search.timed_out:
        chain = search.chain_if_unheld(container, item)
        return [] if chain is None else [chain]
    return [replace(chain, objects=(*chain.objects, *item)) for chain in found]
