"""How far memory of earlier tests, freed or reused while it is in use, lessens a test's own.

A budget is on the rise above the level at the start. What a test frees of earlier tests by
dropping the last reference, and what an earlier test has loaded or cached for it, is missing
from that rise: by definition, not by a fault of the measurement. Garbage is not: no test
has it in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from tests.histories.model import Case, Operation
from tests.histories.operations import SIEVE
from tests.histories.payloads import MIB

TABLE_BYTES = 4 * MIB
"""More than importing one of the tables takes."""


class Influence(Enum):
    """What a test may have of those before it."""

    FREED = "frees memory in use since an earlier test"
    CACHED = "finds a cache filled by an earlier test"
    LOADED = "finds a module imported by an earlier test"


Lessened = dict[Influence, int]


@dataclass
class _State:
    """What is in use in the process, in bytes."""

    slots: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    caches: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    tables: set[str] = field(default_factory=set)


def influences(cases: Iterable[Case]) -> list[Lessened]:
    """What each test has of those before it, in bytes."""
    state = _State()
    return [_lessened(case, state) for case in cases]


def _lessened(case: Case, state: _State) -> Lessened:
    """What one test has of those before it; the state becomes that after it."""
    found: defaultdict[Influence, int] = defaultdict(int)
    past = _State(state.slots.copy(), state.caches.copy(), state.tables.copy())
    for step in case.operations:
        _do(step, past, state, found)
    return dict(found)


def _do(
    step: Operation, past: _State, state: _State, found: defaultdict[Influence, int]
) -> None:
    """Note what one operation frees, reuses and leaves."""
    match step.name, step.arguments:
        case "drop", (slot,):
            found[Influence.FREED] += past.slots.pop(slot, 0)
            state.slots.pop(slot, None)
        case "keep", (kind, size, "plain", slot):
            state.slots[slot] += 0 if kind == "shrunk" else size * MIB
        case "chain", (kind, size, "plain", slot) if slot:
            state.slots[slot] += 0 if kind == "shrunk" else size * MIB
        case "thin_out", (_, size, slot):
            state.slots[slot] += size * MIB // SIEVE
        case (("fill_dict" | "fill_lru"), (size,)):
            cache = step.name.removeprefix("fill_")
            found[Influence.CACHED] += min(past.caches[cache], size * MIB)
            state.caches[cache] = max(state.caches[cache], size * MIB)
        case "clear", (cache,):
            found[Influence.FREED] += past.caches.pop(cache, 0)
            state.caches.pop(cache, None)
        case "load", (table,):
            found[Influence.LOADED] += TABLE_BYTES if table in past.tables else 0
            state.tables.add(table)
        case "unload", (table,):
            past.tables.discard(table)
            state.tables.discard(table)
