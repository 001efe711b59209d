"""Modules made for a test, whose function `leak` is repeated between two measurements."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from pytest_memguard.attribution.growth import GrowthFound, HeapGrowth

CALLS = 16
NAME = "leaking_app"
_HEAD = """
import collections, contextvars, ctypes, functools, gc, io, queue, re, sys, threading, weakref
class Request:
    def __init__(self):
        self.headers = ["x"]
"""


@contextmanager
def module(source: str) -> Iterator[ModuleType]:
    """A module of this source, in ``sys.modules`` until the end of the block."""
    made = ModuleType(NAME)
    sys.modules[NAME] = made
    try:
        exec(compile(_HEAD + source, f"/somewhere/{NAME}.py", "exec"), made.__dict__)  # noqa: S102  # the test's own
        yield made
    finally:
        del sys.modules[NAME]


def found_in(
    source: str, *, calls: int = CALLS, seconds: float = 30.0, measures: bool = True
) -> GrowthFound:
    """What is found after so many calls of the ``leak`` that the source defines.

    The limit is high: how quickly a busy machine gets there is not what most tests ask.
    """
    with module(source) as made:
        return found_after(made, calls=calls, seconds=seconds, measures=measures)


def found_after(
    made: ModuleType, *, calls: int = CALLS, seconds: float = 30.0, measures: bool = True
) -> GrowthFound:
    """What is found after so many calls, the first one apart."""
    made.leak(0)
    gc.collect()
    growth = HeapGrowth(measures=measures, seconds=seconds)
    for number in range(calls):
        made.leak(number + 1)
    return growth.finish(calls=calls)
