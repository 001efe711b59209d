"""Tests of the verdicts that need no further calls: nothing grows, or no longer."""

from __future__ import annotations

import pytest

from pytest_memguard.judge.early_verdict import early_verdict, shows_no_growth
from tests.support.leak_rounds import a_round, series


def pages(size):
    """So many bytes per call, in whole pages."""
    return lambda calls: 4096 * int(size * calls // 4096)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        pytest.param((), False, id="none"),
        pytest.param(series(0, calls=4), False, id="one"),
        pytest.param(series(0, 0, calls=4), True, id="two"),
        pytest.param(series(-5, 0, calls=4), True, id="released"),
        pytest.param(series(9, 0, calls=4), False, id="grew-in-the-first"),
        pytest.param(series(0, 9, calls=4), False, id="grew-in-the-second"),
        pytest.param(series(9, 0, 0, calls=4), True, id="grew-before-the-latest-two"),
        pytest.param(series(1, 0, calls=4), False, id="a-block"),
        pytest.param(series(1, -1, calls=4), True, id="a-block-that-went-again"),
        pytest.param(series(20, 20, calls=4, signal="C heap"), True, id="few-bytes"),
        pytest.param(series(24, 24, calls=4, signal="C heap"), True, id="as-many-as-may-be"),
        pytest.param(series(24, 25, calls=4, signal="C heap"), False, id="a-byte-more"),
        pytest.param(series(4096, 0, calls=4, signal="USS"), True, id="a-page"),
        pytest.param(series(4096, 1, calls=4, signal="USS"), False, id="more-than-a-page"),
        pytest.param(
            (a_round(4, blocks=0, C_heap=48), a_round(4, blocks=1, C_heap=-48)),
            False,
            id="one-of-two-signals",
        ),
    ],
)
def test_passes(rounds, expected) -> None:
    """The first rounds suffice if the latest two are flat and next to nothing stays."""
    assert expected is shows_no_growth(rounds)


@pytest.mark.parametrize(
    ("rounds", "state", "reason"),
    [
        pytest.param((), None, "", id="none"),
        pytest.param(series(0), None, "", id="one"),
        pytest.param(series(*[0] * 7), None, "", id="twenty-one-calls"),
        pytest.param(series(*[0] * 8), "clean", "", id="twenty-four-calls"),
        pytest.param(series(0, 0, calls=12), "clean", "", id="two-longer-rounds"),
        pytest.param(series(7, 3, calls=30), None, "", id="two-rounds-at-least"),
        pytest.param(series(0, 15, 0, 0, calls=30), "clean", "", id="two-rounds-are-enough"),
        pytest.param(series(5, *[0] * 7), None, "", id="grew-meanwhile"),
        pytest.param(series(*[0] * 7, 1), None, "", id="latest-not-flat"),
        pytest.param(series(*[0] * 6, 1, 0), None, "", id="latest-but-one-not-flat"),
        pytest.param(series(0, 1, *[0] * 6), "clean", "", id="one-block"),
        pytest.param(series(2, 0, 2, *[0] * 5), None, "", id="four-blocks"),
        pytest.param(series(-90, *[3] * 7), None, "", id="released-and-growing"),
        pytest.param(series(3, 3, -90, *[0] * 5), "clean", "", id="released"),
        pytest.param(series(3, -90, 6, *[0] * 5), None, "", id="above-its-lowest"),
        pytest.param(
            series(9, 9, *[0] * 8),
            "settling",
            "blocks grew by 18 at first, and no more after 6 calls",
            id="stopped",
        ),
        pytest.param(
            (a_round(3, blocks=1, USS=122_880), *[a_round(3, blocks=0, USS=0)] * 8),
            "settling",
            "USS grew by 120.0 KiB at first, and no more after 3 calls",
            id="pages-stopped",
        ),
        pytest.param(
            (a_round(4, blocks=7, USS=122_880), *[a_round(3, blocks=0, USS=0)] * 8),
            "settling",
            "USS grew by 120.0 KiB at first, and no more after 4 calls",
            id="the-first-above-its-floor",
        ),
        pytest.param(series(9, 0, -9, *[0] * 6), "clean", "", id="back-again"),
        pytest.param(series(*[9] * 20, *[0] * 9), None, "", id="not-yet-a-third"),
        pytest.param(
            series(*[9] * 20, *[0] * 10),
            "settling",
            "blocks grew by 180 at first, and no more after 60 calls",
            id="a-third",
        ),
        pytest.param(
            tuple(a_round(5, blocks=0, USS=4096) for _ in range(5)),
            None,
            "",
            id="a-page-per-round",
        ),
        pytest.param(
            (a_round(5, blocks=0, USS=4096), *[a_round(5, blocks=0, USS=0)] * 5),
            "clean",
            "",
            id="a-page",
        ),
        pytest.param(
            tuple(a_round(5, blocks=0, C_heap=25) for _ in range(5)),
            "clean",
            "",
            id="heap-below-half-its-floor",
        ),
        pytest.param(
            tuple(a_round(5, blocks=0, C_heap=30) for _ in range(5)),
            "clean",
            "",
            id="heap-at-half-its-floor",
        ),
        pytest.param(
            tuple(a_round(5, blocks=0, C_heap=40) for _ in range(5)),
            None,
            "",
            id="heap-above-half-its-floor",
        ),
    ],
)
def test_conclude(rounds, state, reason) -> None:
    """A check ends early after a third of its calls, 24 at least, without growth."""
    verdict = early_verdict(rounds)
    if state is None:
        assert verdict is None
    else:
        assert verdict is not None
        assert (state, reason, rounds) == (verdict.state, verdict.reason, verdict.rounds)
        assert verdict.calls == sum(r.calls for r in rounds)
