"""Tests of what a test of a history has of those before it."""

from __future__ import annotations

import pytest

from tests.histories.model import Case, Operation
from tests.histories.past import TABLE_BYTES, Influence, influences

MIB = 1 << 20
KEEP = Operation("keep", ("lists", 4, "plain", "a"))
KEEP_CYCLE = Operation("keep", ("lists", 4, "cycle", "a"))
KEEP_SHRUNK = Operation("keep", ("shrunk", 4, "plain", "a"))
KEEP_ERROR = Operation("chain", ("lists", 4, "plain", "a"))
DROP = Operation("drop", ("a",))
FILL = Operation("fill_lru", (2,))
CLEAR = Operation("clear", ("lru",))
LOAD = Operation("load", ("memguard_table_a",))
UNLOAD = Operation("unload", ("memguard_table_a",))


@pytest.mark.parametrize(
    ("earlier", "later", "found"),
    [
        pytest.param([KEEP], [DROP], {Influence.FREED: 4 * MIB}, id="dropped"),
        pytest.param([KEEP, KEEP], [DROP], {Influence.FREED: 8 * MIB}, id="twice-as-much"),
        pytest.param([KEEP_ERROR], [DROP], {Influence.FREED: 4 * MIB}, id="frames"),
        pytest.param([KEEP_CYCLE], [DROP], {}, id="a-cycle-becomes-garbage"),
        pytest.param([KEEP_SHRUNK], [DROP], {}, id="next-to-nothing"),
        pytest.param([KEEP, DROP], [DROP], {}, id="dropped-before"),
        pytest.param([], [KEEP, DROP], {}, id="its-own"),
        pytest.param([KEEP], [DROP, DROP], {Influence.FREED: 4 * MIB}, id="only-once"),
        pytest.param([KEEP], [DROP, KEEP, DROP], {Influence.FREED: 4 * MIB}, id="then-own"),
        pytest.param([FILL], [FILL], {Influence.CACHED: 2 * MIB}, id="cached"),
        pytest.param([FILL], [CLEAR], {Influence.FREED: 2 * MIB}, id="cleared"),
        pytest.param([FILL], [CLEAR, FILL], {Influence.FREED: 2 * MIB}, id="filled-anew"),
        pytest.param([FILL, CLEAR], [FILL], {}, id="cleared-before"),
        pytest.param([LOAD], [LOAD], {Influence.LOADED: TABLE_BYTES}, id="loaded"),
        pytest.param([LOAD], [UNLOAD], {}, id="a-module-becomes-garbage"),
        pytest.param([LOAD, UNLOAD], [LOAD], {}, id="unloaded-before"),
    ],
)
def test_influences(earlier, later, found) -> None:
    """What is in use since an earlier test and freed or reused by a later one is known."""
    first, second = influences([Case(tuple(earlier)), Case(tuple(later))])
    assert not any(first.values())
    assert found == {cause: size for cause, size in second.items() if size}
