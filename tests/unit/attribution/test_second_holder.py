"""Tests of what else holds the items of a container."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_memguard.attribution import second_holder as module
from pytest_memguard.model.leaks import RetentionPath

NOTHING = (False, None)
EXCUSED = (True, None)


def _named(holder: str) -> tuple[bool, RetentionPath]:
    return (True, RetentionPath(steps=("module app", holder), holder=holder))


@pytest.mark.parametrize(
    ("items", "holder", "examined"),
    [
        pytest.param(["LIST", "LIST"], "LIST", 2, id="both"),
        pytest.param(["LIST[0]", "LIST[7]"], "LIST[0]", 2, id="under-other-keys"),
        pytest.param([EXCUSED, "LIST", "LIST"], "LIST", 3, id="a-cache-has-the-first"),
        pytest.param(["LATEST", EXCUSED, EXCUSED], "", 3, id="something-has-the-first"),
        pytest.param(["LATEST", NOTHING, NOTHING], "", 3, id="the-first-alone"),
        pytest.param(["A", "B", "C"], "", 3, id="all-differ"),
        pytest.param([NOTHING, "LIST", "LIST"], "", 1, id="nothing-at-all"),
        pytest.param(["LIST"], "LIST", 1, id="only-one"),
        pytest.param(["LIST", None], "LIST", 2, id="time-is-over"),
    ],
)
def test_what_most_items_are_held_by(monkeypatch, items, holder, examined):
    """Two of three items decide; where nothing holds the first, one is enough."""
    others = SimpleNamespace(timed_out=False)
    seen = []

    def holder_of(blocks, *_):
        (found,) = blocks
        seen.append(found)
        others.timed_out = items[found] is None
        known = items[found]
        return _named(known) if isinstance(known, str) else known or NOTHING

    monkeypatch.setattr(module, "_items", lambda *_: ({i} for i in range(len(items))))
    monkeypatch.setattr(module, "_holder_of", holder_of)
    search = SimpleNamespace(without=lambda _: others)
    found = module.second_holder([], set(), None, [], search, None)
    assert ("" if found is None else found.holder) == holder
    assert len(seen) == examined


def test_a_holder_that_is_not_the_first(monkeypatch):
    """Of several holders at the same distance, one counts that has to let go."""
    paths = {
        "cache": RetentionPath(steps=(), holder="cache", bounded="lru_cache(maxsize=9)"),
        "plugin": RetentionPath(steps=(), holder="plugin", owner="plugin syrupy"),
        "LIST": RetentionPath(steps=(), holder="LIST"),
    }
    root = SimpleNamespace(rank=0)
    chains = [SimpleNamespace(name=name, crowded=False, root=root) for name in paths]
    crowded = SimpleNamespace(name="LIST", crowded=True, root=root)
    others = SimpleNamespace(chains=lambda _: [crowded, *chains], roots=None)
    monkeypatch.setattr(module, "_targets", lambda *_: [])
    monkeypatch.setattr(module, "retention_path", lambda chain, **_: paths[chain.name])
    new = SimpleNamespace(ids=set())
    assert module._holder_of({1}, None, others, new) == (True, paths["LIST"])
