"""Leaves a task that never ends in a loop that is kept alive."""

import asyncio

_LOOP = asyncio.new_event_loop()
_NEVER = asyncio.Event()


async def wait() -> None:
    """Wait for something that never comes."""
    await _NEVER.wait()  # LEAK


async def start() -> bool:
    """Start a task and let it run to where it waits."""
    task = asyncio.create_task(wait())  # LEAK
    await asyncio.sleep(0)
    return task.done()


def test_start() -> None:
    """The task is waiting."""
    assert not _LOOP.run_until_complete(start())
