"""Leaves one or two tasks that never end in a loop that is kept alive."""

import asyncio
import random

_RANDOM = random.Random(7)
_LOOP = asyncio.new_event_loop()
_NEVER = asyncio.Event()


async def wait() -> None:
    """Wait for something that never comes."""
    await _NEVER.wait()  # LEAK


async def start() -> bool:
    """Start tasks and let them run to where they wait."""
    tasks = [asyncio.create_task(wait()) for _ in range(_RANDOM.randint(1, 2))]  # LEAK
    await asyncio.sleep(0)
    return any(task.done() for task in tasks)


def test_start() -> None:
    """All tasks are waiting."""
    assert not _LOOP.run_until_complete(start())
