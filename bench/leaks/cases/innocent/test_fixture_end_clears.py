"""A finalizer of pytest's own that is a C function and empties a list."""

import pytest

_OPEN: list[list[int]] = []


def test_open(request: pytest.FixtureRequest) -> None:
    """There is one open thing at a time."""
    request.addfinalizer(_OPEN.clear)
    _OPEN.append([1, 2, 3])
    assert len(_OPEN) == 1
