"""Every kind of test."""

from __future__ import annotations

import asyncio
import contextlib
import unittest

import pytest
from memory import OVER, WITHIN, block, shares, small_objects

subtests_only = pytest.mark.skipif(
    pytest.version_tuple < (9, 0), reason="pytest has subtests from 9.0 on"
)


@pytest.mark.mem_budget(10)
def test_function_over():
    """A function fails for its memory."""
    block(10 * OVER)


@pytest.mark.mem_budget(10)
def test_function_within():
    """A function passes within its budget."""
    block(10 * WITHIN)


class TestMethods:
    """A class of tests."""

    @pytest.mark.mem_budget(11)
    def test_over(self):
        """A method fails for its memory."""
        small_objects(11 * OVER)

    @pytest.mark.mem_budget(11)
    def test_within(self):
        """A method passes within its budget."""
        small_objects(11 * WITHIN)

    @staticmethod
    @pytest.mark.mem_budget(12)
    def test_static_over():
        """A static method fails for its memory."""
        block(12 * OVER)

    @classmethod
    @pytest.mark.mem_budget(12)
    def test_class_within(cls):
        """A class method passes within its budget."""
        block(12 * WITHIN)


class TestUnit(unittest.TestCase):
    """A unittest.TestCase, whose setUp and tearDown are parts of the call."""

    def setUp(self):
        """Keep some memory during the test."""
        self.kept = block(4)

    def tearDown(self):
        """Use and release some memory."""
        block(4)
        del self.kept

    @pytest.mark.mem_budget(16)
    def test_over(self):
        """What setUp keeps adds to what the test uses."""
        block(16 * OVER - 4)

    @pytest.mark.mem_budget(16)
    def test_within(self):
        """All of it passes within its budget."""
        block(16 * WITHIN - 4)

    @pytest.mark.mem_budget(16)
    def test_subtests_over(self):
        """What subtests use belongs to their test."""
        for share in (WITHIN, OVER):
            with self.subTest(share=share):
                block(16 * share - 4)


class TestTearDown(unittest.TestCase):
    """A unittest.TestCase whose tearDown uses the memory."""

    def tearDown(self):
        """Use more than one budget allows."""
        block(13)

    @pytest.mark.mem_budget(10)
    def test_over(self):
        """A budget of the call covers tearDown."""

    @pytest.mark.mem_budget(19)
    def test_within(self):
        """A larger one is not exceeded."""


class TestIsolated(unittest.IsolatedAsyncioTestCase):
    """Coroutines that unittest runs."""

    async def asyncSetUp(self):
        """Keep some memory during the test."""
        self.kept = block(2)

    @pytest.mark.mem_budget(12)
    async def test_over(self):
        """A coroutine of unittest fails for its memory."""
        await asyncio.sleep(0)
        block(12 * OVER - 2)

    @pytest.mark.mem_budget(12)
    async def test_within(self):
        """A coroutine of unittest passes within its budget."""
        await asyncio.sleep(0)
        block(12 * WITHIN - 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("mebibytes", shares(14))
async def test_asyncio(mebibytes):
    """Tasks of a coroutine that pytest-asyncio runs count together."""

    async def half():
        kept = block(mebibytes / 2)
        await asyncio.sleep(0.002)
        return len(kept)

    await asyncio.gather(half(), half())


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("mebibytes", shares(13))
async def test_anyio(mebibytes):
    """A coroutine that anyio runs has a budget like all others."""
    block(mebibytes)


@pytest.mark.parametrize("share", [OVER, WITHIN], ids=["over", "within"])
@pytest.mark.parametrize("rows", [20_000, 40_000])
@pytest.mark.mem_budget(lambda params: f"{params['rows'] * 520} B")
def test_parameters(rows, share):
    """A limit may depend on a parameter."""
    small_objects(rows * 520 / 2**20 * share)


@pytest.mark.parametrize("mebibytes", shares(9, metric="heap"))
@pytest.mark.mem_budget("20 MB")
def test_two_budgets(mebibytes):
    """Budgets on two metrics both hold."""
    block(mebibytes)


@subtests_only
@pytest.mark.parametrize("mebibytes", shares(11))
def test_subtests(subtests, mebibytes):
    """What one subtest uses belongs to the test."""
    for share in (0.25, 1):
        with subtests.test("part", share=share):
            block(mebibytes * share)


@subtests_only
@pytest.mark.mem_budget(11, metric="heap")
def test_subtests_that_keep_over(subtests):
    """What subtests keep adds up."""
    kept = []
    for part in range(2):
        with subtests.test("part", part=part):
            kept.append(block(11 * OVER / 2))


@pytest.mark.parametrize("mebibytes", shares(12))
def test_raises_inside(mebibytes):
    """Memory in the frames of an exception that the test expects counts."""

    def work():
        kept = block(mebibytes)
        raise ValueError(len(kept))

    with contextlib.suppress(ValueError):
        work()
    with pytest.raises(ValueError, match=r"\d+"):
        work()
