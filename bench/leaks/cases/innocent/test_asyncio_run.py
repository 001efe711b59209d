"""Runs a coroutine in a loop of its own."""

import asyncio


async def total(numbers: list[int]) -> int:
    """Add up, with a break in between."""
    await asyncio.sleep(0)
    return sum(numbers)


def test_total() -> None:
    """One and two are three."""
    assert asyncio.run(total([1, 2])) == 3
