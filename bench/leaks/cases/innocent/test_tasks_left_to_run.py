"""Leaves one to five tasks to ``asyncio.run``, which cancels them."""

import asyncio
import random

_RANDOM = random.Random(7)


async def start(count: int) -> int:
    """Start tasks that would wait for ever."""
    never = asyncio.Event()
    tasks = [asyncio.create_task(never.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return sum(not task.done() for task in tasks)


def test_start() -> None:
    """All of them were waiting."""
    count = _RANDOM.randint(1, 5)
    assert asyncio.run(start(count)) == count
