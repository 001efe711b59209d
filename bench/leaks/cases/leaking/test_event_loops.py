"""Makes an event loop per call and closes none."""

import asyncio

_LOOPS: list[asyncio.AbstractEventLoop] = []


async def answer() -> int:
    """Think."""
    await asyncio.sleep(0)
    return 42


def ask() -> int:
    """Think in a loop of its own."""
    loop = asyncio.new_event_loop()  # LEAK
    _LOOPS.append(loop)
    return loop.run_until_complete(answer())  # LEAK


def test_ask() -> None:
    """The answer is known."""
    assert ask() == 42
