"""A loop that is kept alive runs one to five tasks to their end."""

import asyncio
import random

_RANDOM = random.Random(11)
_LOOP = asyncio.new_event_loop()


async def square(number: int) -> int:
    """Take a while."""
    await asyncio.sleep(0)
    return number * number


async def work(count: int) -> int:
    """Do so many squares at once."""
    return sum(await asyncio.gather(*map(square, range(count))))


def test_work() -> None:
    """The sum is what it is."""
    assert _LOOP.run_until_complete(work(_RANDOM.randint(1, 5))) in {0, 1, 5, 14, 30}
