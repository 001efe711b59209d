"""Tests of the filler: which places it takes, and how many of them."""

from __future__ import annotations

import sys

import pytest

from pytest_memguard.allocator.filler import (
    ALWAYS_ALLOWED,
    MOST_BLOCKS,
    SHARE_OF_AVAILABLE,
    SHARE_OF_HIGHEST,
    Filler,
    plan_blocks,
)
from pytest_memguard.sizes import GIB, MIB
from tests.support.fakes import FakeSlack

POOL = 16 * 1024  # has room for 31 blocks of 512 bytes
PLENTY = 1024 * GIB
MANY = 100_000


def slack(*blocks, pools=0) -> FakeSlack:
    """Free places of some sizes, and free pools."""
    return FakeSlack(0, blocks, pools, POOL)


@pytest.mark.parametrize(
    ("free", "most_bytes", "most_blocks", "chosen"),
    [
        pytest.param(slack(), PLENTY, PLENTY, [], id="no-slack"),
        pytest.param(FakeSlack(0), PLENTY, PLENTY, [], id="no-pools-known"),
        pytest.param(slack((16, 1)), PLENTY, PLENTY, [(16, 1)], id="one-place"),
        pytest.param(
            slack((16, MANY), (512, 3), (48, 7)),
            PLENTY,
            PLENTY,
            [(512, 3), (48, 7), (16, MANY)],
            id="largest-first",
        ),
        pytest.param(
            slack((512, 10_000)), 512 * 600, PLENTY, [(512, 600)], id="bytes-are-limited"
        ),
        pytest.param(
            slack((512, 9000), (16, 9000)), 512 * 9000 + 40, PLENTY, [(512, 9000), (16, 2)],
            id="bytes-left-for-small-ones",
        ),
        pytest.param(
            slack((512, 9000), (16, 9000)), PLENTY, 9005, [(512, 9000), (16, 5)],
            id="blocks-are-limited",
        ),
        pytest.param(slack(pools=200), PLENTY, PLENTY, [(512, 196 * 31)], id="pools-but-four"),
        pytest.param(
            slack((16, MANY), pools=5), PLENTY, PLENTY, [(16, MANY), (512, 31)],
            id="pools-after-places",
        ),
        pytest.param(
            slack((16, MANY), pools=3), PLENTY, PLENTY, [(16, MANY)], id="all-pools-left"
        ),
        pytest.param(
            slack((512, 9000), pools=200), 512 * 6100, PLENTY, [(512, 24), (512, 6076)],
            id="pools-take-their-share-first",
        ),
        pytest.param(
            slack((512, 9000), pools=200), PLENTY, 100, [(512, 100)], id="few-blocks-all-pools"
        ),
        pytest.param(slack((512, 9000), pools=200), 0, PLENTY, [], id="nothing-allowed"),
        pytest.param(slack((512, 9000), pools=200), -9999, PLENTY, [], id="less-than-nothing"),
    ],
)  # fmt: skip
def test_plan_blocks(free, most_bytes, most_blocks, chosen) -> None:
    """The filler takes the largest places first, then the free pools, up to the limits."""
    assert chosen == list(plan_blocks(free, most_bytes, most_blocks))


@pytest.mark.parametrize("size", range(16, 513, 16))
def test_blocks_fit(size) -> None:
    """Each block takes a place of exactly the planned size."""
    filler = Filler()
    count = 5000
    assert filler.fill(slack((size, count)), 0, PLENTY) is True
    filled = [block for part in filler._kept for block in part if block is not None]
    assert count == len(filled)
    assert count == len({id(block) for block in filled})
    assert {size} == {-(-sys.getsizeof(block) // 16) * 16 for block in filled}


@pytest.mark.parametrize(
    ("free", "available", "complete"),
    [
        pytest.param(slack(), PLENTY, True, id="nothing"),
        pytest.param(slack((16, 7), (512, 3), pools=9), PLENTY, True, id="all"),
        pytest.param(slack(pools=4), PLENTY, True, id="the-unfilled-pools"),
        pytest.param(slack((16, 7), (512, 3)), 512 * 30, False, id="not-the-smallest"),
        pytest.param(slack(pools=9), 0, False, id="none-of-it"),
    ],
)
def test_all_of_it(free, available, complete) -> None:
    """The filler returns whether it left anything free beyond the unfilled pools."""
    assert complete is Filler().fill(free, 0, available)


def test_what_holds_the_blocks_is_large() -> None:
    """The lists that hold the blocks are large enough to lie outside the C heap."""
    filler = Filler()
    filler.fill(slack((16, 40), (64, 17_000)), 0, PLENTY)
    assert [len(part) - part.count(None) for part in filler._kept] == [16_500, 540]
    assert all(sys.getsizeof(part) > 128 * 1024 for part in filler._kept)


@pytest.mark.parametrize(
    ("highest", "available", "allowed"),
    [
        pytest.param(0, PLENTY, ALWAYS_ALLOWED, id="small-process"),
        pytest.param(
            4 * ALWAYS_ALLOWED,
            PLENTY,
            int(4 * ALWAYS_ALLOWED * SHARE_OF_HIGHEST),
            id="large-process",
        ),
        pytest.param(
            PLENTY, 40 * MIB, int(40 * MIB * SHARE_OF_AVAILABLE), id="little-memory-left"
        ),
        pytest.param(PLENTY, 0, 0, id="no-memory-left"),
    ],
)
def test_allowed(monkeypatch, highest, available, allowed) -> None:
    """The most that a filler may hold depends on the process and on the machine's memory."""
    asked = []
    monkeypatch.setattr(
        "pytest_memguard.allocator.filler.plan_blocks",
        lambda *arguments: asked.append(arguments) or [],
    )
    Filler().fill(slack(), highest, available)
    assert [(slack(), allowed, MOST_BLOCKS)] == asked


def test_what_is_held_counts(monkeypatch) -> None:
    """Blocks that the filler already holds count towards its limit, until they are dropped."""
    asked = []
    monkeypatch.setattr(
        "pytest_memguard.allocator.filler.plan_blocks",
        lambda _, most_bytes, __: asked.append(ALWAYS_ALLOWED - most_bytes) or [(512, 10)],
    )
    filler = Filler()
    sizes = []
    for _ in range(2):
        filler.fill(slack(), 0, PLENTY)
        sizes.append(filler.size)
    filler.drop()
    assert filler._kept == []
    sizes.append(filler.size)
    filler.fill(slack(), 0, PLENTY)
    assert sizes == [5120, 10240, 0]
    assert asked == [0, 5120, 0]
