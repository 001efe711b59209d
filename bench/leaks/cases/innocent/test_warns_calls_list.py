"""C code that pytest calls warns, and makes a list that is dropped."""

import warnings
from itertools import chain

import pytest


def test_list() -> None:
    """A warning comes before the rest."""
    work = chain(map(warnings.warn, ["slow"]), map(bytes, [100, 200]))
    assert len(pytest.warns(UserWarning, list, work)) == 3
