"""Searches in small heaps: the time that one takes depends on the size of the heap."""

from __future__ import annotations

from dataclasses import replace

from pytest_memguard.attribution.growth import GrowthFound
from tests.support.fresh_process import fresh
from tests.unit.attribution import leaking


def _found(source: str, options: dict[str, float]) -> GrowthFound:
    found = leaking.found_in(source, **options)
    return replace(found, growing_container=None)  # that stays where it lives


def found_in(source: str, **options: float) -> GrowthFound:
    """What `leaking.found_in` finds, in a process of its own."""
    found: GrowthFound = fresh(_found, source, options)
    return found


def _holders(source: str, times: int) -> list[str | None]:
    paths = [leaking.found_in(source).path for _ in range(times)]
    return [path and path.holder for path in paths]


def holders_in(source: str, times: int) -> list[str | None]:
    """The holders that one process finds in several searches."""
    found: list[str | None] = fresh(_holders, source, times)
    return found
