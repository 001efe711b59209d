"""Tests of the division of a leak among its holders: what is renewed is none of them."""

from __future__ import annotations

import gc

from pytest_memguard.recording.causes import causes_of
from tests.fresh import alone
from tests.unit.attribution.leaking import NAME, module

RENEWED = """
KEPT, LATEST = [], None


def leak():
    global LATEST
    LATEST = [{"n": [n]} for n in range(60)]
    LATEST.append(LATEST)
    KEPT.append((object, [], {}))
"""


ROUNDS, SEEMING = 12, 3
"""Where new objects lie in the memory of old ones, they may seem to be of several calls."""


@alone
def test_a_structure_that_each_call_renews() -> None:
    """Its blocks are the latest call's: they are no growth, whatever seems to hold them."""
    renewed = 0
    with module(RENEWED) as made:
        for _ in range(ROUNDS):
            made.leak()
            gc.collect()
            gc.freeze()
            causes = causes_of(made.leak, 16, 16, gc.collect, ())
            gc.unfreeze()
            named = {cause.path.holder for cause in causes or () if cause.path is not None}
            assert f"{NAME}.KEPT" in named
            renewed += f"{NAME}.LATEST" in named
    assert renewed <= SEEMING
