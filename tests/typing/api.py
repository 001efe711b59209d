"""The public API as a user types it: checked by ``mypy --strict``, never run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import assert_type

import pytest

import pytest_memguard
from pytest_memguard import (
    BudgetExceeded,
    ConfigError,
    Levels,
    Measure,
    MemGuard,
    MemoryBudgetWarning,
    Recording,
    Size,
    Snapshot,
    Unmeasurable,
    WatchGrowth,
    stage,
    watch,
)


@pytest.mark.mem_budget(200)
@pytest.mark.mem_budget("512 KB", metric="heap", phase="setup", threads="current")
@pytest.mark.mem_budget(lambda params: params["rows"] * 2, stage="parse", warn=0.8)
def test_markers() -> None:
    """Markers take any arguments; those of ours are checked at collection."""


def test_stages(memguard: MemGuard) -> None:
    """Stages as context managers, with and without a budget."""
    with memguard.stage("load"):
        pass
    with memguard.stage("load", budget="50 MB"), memguard.stage("parse", budget=50):
        pass
    with memguard.stage("load", budget=None), stage("parse", budget=1.5):
        pass
    with stage("load"), pytest_memguard.stage("parse", budget=Size(1024)):
        pass
    same: AbstractContextManager[None, bool | None] = stage("load")
    with same as nothing:
        assert_type(nothing, None)


@stage("load")
def load(path: str, *, rows: int = 0) -> list[str]:
    """A decorated function keeps its type."""
    return [path] * rows


@stage("later", budget="1 GiB")
async def load_later(path: str) -> bytes:
    """And so does a coroutine function."""
    await asyncio.sleep(0)
    return path.encode()


@stage("many")
def load_many(count: int) -> Iterator[int]:
    """And a generator function."""
    yield from range(count)


class Loader:
    """Holds decorated methods."""

    @stage("method")
    def load(self, size: int) -> int:
        """A decorated method is still one."""
        return size

    @staticmethod
    @stage("static")
    def load_static(size: int) -> int:
        """A decorated static method is still one."""
        return size


async def test_decorated(memguard: MemGuard) -> None:
    """Calls of decorated functions are checked as before."""
    assert_type(load("x", rows=3), list[str])
    assert_type(await load_later("x"), bytes)
    assert_type(next(load_many(3)), int)
    assert_type(Loader().load(3), int)
    assert_type(Loader.load_static(3), int)
    load(3)  # type: ignore[arg-type]
    Loader().load("3")  # type: ignore[arg-type]

    @memguard.stage("local")
    def local(size: int) -> str:
        """A decorated local function keeps its type too."""
        return str(size)

    assert_type(local(3), str)


def test_measurements(memguard: MemGuard) -> None:
    """Measured blocks and their numbers."""
    with memguard.measure() as measured:
        pass
    assert_type(measured, Measure)
    assert_type(measured.peak, Size)
    assert_type(measured.growth, Size)
    assert_type(measured.seconds, float)
    assert_type(measured.metric, str)
    assert measured.peak < "50 MB"
    assert measured.peak <= 50 * 1024**2
    assert measured.growth > "1 KB"
    assert measured.peak > measured.growth
    number: int = measured.peak
    assert number / 2**20 < 50.0
    with memguard.measure("heap"), memguard.measure(metric="python"):
        pass
    with memguard.measure("descriptors"):  # a plugin may have a probe of that name
        pass
    measured.peak = Size(3)  # type: ignore[misc]


def test_snapshots(memguard: MemGuard) -> None:
    """A single reading, and what may be missing from it."""
    before: Snapshot = memguard.snapshot()
    after = memguard.snapshot()
    assert_type(after.rss, Size)
    assert_type(after.uss, Size | None)
    assert_type(after.heap, Size | None)
    assert_type(after.blocks, int)
    assert_type(after.open_files, int | None)
    assert_type(after.threads, int)
    assert after.rss - before.rss < 2**20
    if after.heap is not None and before.heap is not None:
        assert after.heap < "2 GB"
    after.rss = Size(0)  # type: ignore[misc]


def test_errors() -> None:
    """Errors and the warning: what they are, and what they carry."""
    with pytest.raises(BudgetExceeded) as breach:
        pass
    assert_type(breach.value, BudgetExceeded)
    for finding in breach.value.findings:
        assert_type(finding.budget.limit, int)
        assert_type(finding.text, str)
    assert isinstance(breach.value, AssertionError)
    with pytest.raises(ConfigError) as wrong:
        stage("")
    assert_type(wrong.value.problems, tuple[str, ...])
    assert isinstance(wrong.value, ValueError)
    with pytest.raises(Unmeasurable) as unmeasurable:
        pass
    assert isinstance(unmeasurable.value, RuntimeError)
    with pytest.warns(MemoryBudgetWarning):
        pass
    assert issubclass(MemoryBudgetWarning, UserWarning)
    assert_type(BudgetExceeded.slug, str)


def test_watch(memguard: MemGuard) -> None:
    """A recording of another program, by the fixture and without it."""
    with memguard.watch(1) as recording, watch(1, 0.5, children=False, warm_up=2) as other:
        assert_type(recording, Recording)
        with recording.stage("load") as stage_of_it:
            other.follow(2)
        assert_type(stage_of_it.peak, Levels)
        assert_type(stage_of_it.growth, WatchGrowth)
    assert recording.peak.rss is not None
    assert recording.peak.rss < "50 MB"
    assert_type(recording.rise, Levels)
    assert_type(recording.check_growth(), WatchGrowth)
    assert_type(recording.restarts, int)
