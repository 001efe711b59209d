"""Takes timers back, which the loop forgets a hundred at a time."""

import asyncio

_LOOP = asyncio.new_event_loop()


async def within(seconds: float) -> int:
    """Be done long before the time is over."""
    timer = asyncio.get_running_loop().call_later(seconds, print)
    await asyncio.sleep(0)
    timer.cancel()
    return 1


def test_within() -> None:
    """It is done."""
    assert _LOOP.run_until_complete(within(3_600)) == 1
