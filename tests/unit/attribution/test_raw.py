"""What objects refer to is read without harm to the interpreter."""

from __future__ import annotations

import asyncio
import gc
import sys

from pytest_memguard.attribution import raw
from tests.support.fresh_process import fresh


def _after_asyncio() -> bool:
    async def square(number: int) -> int:
        await asyncio.sleep(0)
        return number * number

    async def work() -> int:
        return sum(await asyncio.gather(*(asyncio.create_task(square(n)) for n in range(4))))

    asyncio.run(work())
    gc.unfreeze()
    raw.referents(*gc.get_objects())
    raw.referents(sys.modules["_asyncio"])
    return gc.get_referrers([]) == []  # would never end


def test_referents_of_asyncio() -> None:
    """Objects that ``_asyncio`` of CPython 3.12 keeps for reuse are not freed twice."""
    assert fresh(_after_asyncio)
