"""Every metric in every phase, and every way to use memory."""

from __future__ import annotations

import pytest
from memory import SHARES, WAYS, block, shares, small_lists

LIMITS = {"setup": 8, "call": 12, "teardown": 16, "all": 20}
METRICS = [
    pytest.param({"metric": "rss"}, id="rss"),
    pytest.param({"metric": "heap"}, id="heap"),
    pytest.param({"metric": "python"}, id="python"),
    pytest.param({"metric": "heap", "threads": "current"}, id="heap-current"),
]
PHASES = [
    pytest.param(
        phase,
        limit * share,
        marks=pytest.mark.mem_budget(limit, phase=phase, **metric.values[0]),
        id=f"{metric.id}-{phase}-{word}",
    )
    for metric in METRICS
    for phase, limit in LIMITS.items()
    for word, share in SHARES.items()
]


@pytest.fixture
def uses(request):
    """Use the memory of the phase that has the budget; that of all phases adds up."""
    phase, mebibytes = request.getfixturevalue("phase"), request.getfixturevalue("mebibytes")
    kept = block(mebibytes) if phase == "setup" else block(mebibytes * 0.5 * (phase == "all"))
    yield kept
    if phase == "teardown":
        block(mebibytes)


@pytest.mark.parametrize(("phase", "mebibytes"), PHASES)
def test_phase(uses, phase, mebibytes):
    """The budget of a phase counts what that phase uses."""
    if phase == "call":
        block(mebibytes)
    elif phase == "all":
        block(mebibytes * 0.5)


@pytest.mark.parametrize("way", [*WAYS, small_lists])
@pytest.mark.parametrize("mebibytes", shares(8))
def test_rss(way, mebibytes):
    """Resident memory counts all pages that are touched."""
    way(mebibytes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mebibytes", shares(8, metric="heap"))
def test_heap(way, mebibytes):
    """The heap counts every allocation."""
    way(mebibytes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mebibytes", shares(8, metric="python"))
def test_python(way, mebibytes):
    """Python's memory counts what Python's allocators hand out, and numpy's arrays."""
    way(mebibytes)


@pytest.mark.parametrize("mebibytes", shares(9))
def test_rss_of_many_calls(mebibytes):
    """A peak in the middle counts, whatever came before and after it."""
    for _ in range(5):
        block(0.5)
    block(mebibytes)
    for _ in range(5):
        block(0.5)
