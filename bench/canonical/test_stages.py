"""Budgets on stages."""

from __future__ import annotations

import asyncio

import pytest
from memory import OVER, WITHIN, block, shares, small_objects

from pytest_memguard import stage


@pytest.mark.parametrize("mebibytes", shares(10, stage="parse"))
def test_fixture(memguard, mebibytes):
    """A stage has a peak of its own, whatever its neighbours use."""
    with memguard.stage("read"):
        kept = block(1)
    with memguard.stage("parse"):
        block(mebibytes)
    with memguard.stage("total"):
        block(11)
    assert kept


@pytest.mark.parametrize("mebibytes", shares(9, stage="load/batch"))
def test_nested(mebibytes):
    """Each run of a nested stage is held against its budget."""
    with stage("load"):
        kept = block(3)
        for share in (0.5, 1, 0.5):
            with stage("batch"):
                small_objects(mebibytes * share)
    assert kept


@pytest.mark.parametrize("mebibytes", shares(8, stage="load", metric="heap"))
def test_heap(mebibytes):
    """A stage may have a budget on the heap."""
    block(11)
    with stage("load"):
        block(mebibytes)
    block(11)


@pytest.mark.parametrize("mebibytes", shares(8, stage="load", metric="python"))
def test_python(mebibytes):
    """A stage may have a budget on Python's memory."""
    block(11)
    with stage("load"):
        block(mebibytes)
    block(11)


@pytest.mark.parametrize("share", [OVER, WITHIN], ids=["over", "within"])
def test_budget_of_block(memguard, share):
    """A stage may state its budget itself."""
    with memguard.stage("parse", budget="8 MB"):
        block(8 * share)


@pytest.mark.parametrize("mebibytes", shares(10, stage="work"))
def test_decorator(mebibytes):
    """A decorated function is a stage."""

    @stage("work")
    def work():
        return len(block(mebibytes))

    assert work()


@pytest.mark.parametrize("mebibytes", shares(10, stage="work"))
def test_generator(mebibytes):
    """The stage of a generator lasts until its end."""

    @stage("work")
    def work():
        for _ in range(2):
            yield block(mebibytes / 2)

    assert list(work())


@pytest.mark.asyncio
@pytest.mark.parametrize("mebibytes", shares(10, stage="work"))
async def test_coroutine(mebibytes):
    """The stage of a coroutine lasts until its end."""

    @stage("work")
    async def work():
        kept = block(mebibytes)
        await asyncio.sleep(0)
        return len(kept)

    assert await work()


@pytest.fixture
def prepared(request):
    """Use memory in a stage during setup."""
    with stage("prepare"):
        block(request.param)


@pytest.mark.parametrize("prepared", shares(10, stage="prepare"), indirect=True)
def test_setup(prepared):
    """A stage may be entered in a fixture."""
