"""A short run of the simulation behind the leak rule: no false alarm, and every plain leak."""

from __future__ import annotations

import pytest

from bench.leak_rule import CAPS, INNOCENT, OTHERS, PLANTS, at_most, records, tally

HARD = ("1/sqrt(n), by chance", "sawtooth, at random")  # once in so many hundred times
QUIET = [*INNOCENT, *(family for family in OTHERS if family.name not in HARD)]


@pytest.mark.parametrize("family", [pytest.param(f, id=f.name) for f in QUIET])
def test_no_false_alarm(family) -> None:
    """Of many series without lasting growth one at most is called leaking."""
    found = [tally(family.name, family.make, cap, 50).states for cap in family.caps]
    assert sum(states["leaking"] for states in found) <= 1


def test_pages_of_random_data() -> None:
    """Calls that need more than all before are rarer and rarer, and may look like steps."""
    states = tally("records", records, 120, 600).states
    assert states["leaking"] <= 1, states


def test_clean_at_once() -> None:
    """A series that never changes is clean after ten calls."""
    flat = INNOCENT[0]
    assert {10} == set(tally(flat.name, flat.make, CAPS[0], 20).calls)


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("plant", [pytest.param(p, id=p.name) for p in PLANTS])
def test_every_plain_leak(plant, cap) -> None:
    """A series that grows by the same on every call, or every second or third, is a leak."""
    found = tally(f"{plant.name}/0", plant.over(0), cap, 5)
    assert found.states == {"leaking": 5}


@pytest.mark.parametrize(
    ("events", "count", "most"), [(0, 30_000, 1e-4), (1, 1000, 4.735e-3), (5, 10, 0.7776)]
)
def test_interval(events, count, most) -> None:
    """The upper end of the interval is that of the tables."""
    assert at_most(events, count) == pytest.approx(most, rel=2e-3)
