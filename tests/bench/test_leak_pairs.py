"""Two leaks in one test: both are found and named. All pairs of kinds are a benchmark."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.bench.test_leak_cases import load

# every kind once as the first and once as the second
RING = (
    ("objects", "descriptor"),
    ("descriptor", "thread"),
    ("thread", "native"),
    ("native", "lost"),
    ("lost", "text"),
    ("text", "bytes"),
    ("bytes", "cached"),
    ("cached", "objects"),
)


@pytest.fixture(scope="module")
def pairs() -> ModuleType:
    """The benchmark."""
    return load("pairs")


@pytest.mark.parametrize("names", RING, ids="-".join)
def test_pair(pairs, tmp_path, names):
    """Each leak has a part of its own, with what holds it or who leaks."""
    kinds = {kind.name: kind for kind in pairs.KINDS}
    pair = tuple(kinds[name] for name in names)
    told = pairs.found(pairs.source(*pair), tmp_path)
    assert pairs.is_right(pair, told), told


@pytest.mark.parametrize("kind", ["objects", "lost", "thread"])
def test_one_leak_is_one(pairs, tmp_path, kind):
    """A leak alone is not taken for several."""
    (planted,) = (one for one in pairs.KINDS if one.name == kind)
    (name,) = pairs.found(pairs.source(planted), tmp_path)
    assert planted.told in name
