"""Remembers every task of loops that are long closed, two to five a time."""

import asyncio
import random

_RANDOM = random.Random(11)
_TASKS: list[asyncio.Task[int]] = []


async def square(number: int) -> int:
    """Take a while."""
    await asyncio.sleep(0)
    return number * number


async def work(count: int) -> int:
    """Do so many squares at once."""
    tasks = [asyncio.create_task(square(number)) for number in range(count)]  # LEAK
    _TASKS.extend(tasks)  # LEAK
    return sum(await asyncio.gather(*tasks))


def test_work() -> None:
    """There is at least the square of one."""
    assert asyncio.run(work(_RANDOM.randint(2, 5))) >= 1  # LEAK
