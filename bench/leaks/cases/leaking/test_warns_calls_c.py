"""C code that loses bytes, called by C code that pytest calls."""

import warnings
from itertools import chain

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


def test_digests() -> None:
    """A warning comes before the digests."""
    work = chain(map(warnings.warn, ["slow"]), map(leaky.digest, [100, 200]))
    assert pytest.warns(UserWarning, list, work) == [None, 0, 0]  # LEAK
