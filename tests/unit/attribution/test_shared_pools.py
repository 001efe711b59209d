"""Tests of which memory a library may have handed on from line to line."""

from __future__ import annotations

import pytest

from pytest_memguard.attribution.shared_pools import shared_pool
from pytest_memguard.probes.block_tracker import Block


def _blocks(line: int, entry: str, *, size: int = 320, pool: str = "get") -> list[Block]:
    return 8 * [
        Block(
            address=0,
            size=size,
            stack=(("use", "/app/io.py", line),),
            native=("get", entry, "ffi_call_unix64"),
            of_python=False,
            pool=pool,
        )
    ]


@pytest.mark.parametrize(
    ("others", "shared"),
    [
        pytest.param(_blocks(9, "lose"), "get", id="two-lines"),
        pytest.param(_blocks(9, "lose", size=64), "", id="other-sizes"),
        pytest.param(_blocks(9, "borrow"), "", id="same-c-function"),
        pytest.param(_blocks(3, "lose"), "", id="one-line"),
        pytest.param(_blocks(9, "lose", pool=""), "", id="gives-memory-back"),
        pytest.param(
            [*_blocks(9, "lose"), *4 * _blocks(5, "other", size=64)], "", id="small-part"
        ),
    ],
)
def test_shared(others, shared):
    """Lines share it if they have blocks of one size from it through different functions."""
    assert shared == shared_pool([*_blocks(3, "borrow"), *others])
