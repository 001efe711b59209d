"""A partial of a C function that loses memory, called by ``map``."""

from functools import partial

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")

_RESERVE = partial(leaky.reserve)


def test_reserved() -> None:
    """Room for three is reserved."""
    assert list(map(_RESERVE, (40, 80, 120))) == [None] * 3  # LEAK
