"""Tests of the search for holders from above, through all old objects."""

from __future__ import annotations

import gc
import time

from pytest_memguard.attribution.entries import chains_from_above
from pytest_memguard.attribution.new_objects import NewObjects
from pytest_memguard.attribution.retention import Search

LARGE = 10_000
"""Items from which on a list may be one of all objects."""


class Old:
    """Refers to something new."""

    new: object = None


def large_lists() -> set[int]:
    """Ids of the large lists there are."""
    return {id(one) for one in gc.get_objects() if type(one) is list and len(one) > LARGE}


def test_no_list_of_all_objects_stays() -> None:
    """The next search would report it as the holder of everything new."""
    old = [Old() for _ in range(300)]
    new = [[number] for number in range(300)]
    for one, two in zip(old, new, strict=True):
        one.new = two
    new_objects = NewObjects(list(new), {id(new), id(old)})
    deadline = time.thread_time() + 60
    gc.disable()
    try:
        before = large_lists()
        chains_from_above(new_objects, Search(avoid=set(), deadline=deadline), least=1)
        assert large_lists() <= before
    finally:
        gc.enable()
