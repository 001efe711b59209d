"""Functions that become warm in the middle of a check, on the one version that has these."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pytest_memguard.recording import opcode_caches
from pytest_memguard.recording.opcode_caches import OpcodeCaches

CALLS = 1_100


def _blocks_of_calls(*, forgo: bool) -> int:
    """Blocks that functions called over a thousand times leave behind."""
    functions: list[Any] = []
    for number in range(50):
        namespace: dict[str, Any] = {}
        exec(f"def f{number}(): return (lambda: len)()", namespace)  # noqa: S102
        functions.append(namespace[f"f{number}"])
    if forgo:
        OpcodeCaches().forgo()
    for function in functions:
        function()  # the first call leaves a frame behind, for the next
    before = sys.getallocatedblocks()
    for function in functions:
        for _ in range(CALLS):
            function()
    return sys.getallocatedblocks() - before


@pytest.mark.skipif(sys.version_info[:2] != (3, 10), reason="only CPython 3.10 makes them")
def test_none_is_made() -> None:
    """Without the caches that 3.10 makes, calls leave no blocks."""
    opcode_caches._is_counted.cache_clear()
    assert opcode_caches._is_counted()
    assert _blocks_of_calls(forgo=False) > 100
    assert _blocks_of_calls(forgo=True) < 30


@pytest.mark.skipif(sys.version_info[:2] == (3, 10), reason="3.10 makes them")
def test_other_versions_have_none() -> None:
    """Where calls are not counted, nothing is touched."""
    assert not opcode_caches._is_counted()
    assert _blocks_of_calls(forgo=True) < 30
