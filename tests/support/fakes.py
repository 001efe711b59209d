"""Stand-ins for the live parts, set by tests: a clock, meters, allocators and streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_memguard.model.measurements import Method
from pytest_memguard.model.metrics import METRICS, RSS

PYMALLOC_FREE, MALLOC, FREE, MMAP, MUNMAP = 1, 6, 5, 14, 15


class FakeClock:
    """Seconds that pass only when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        """Begin at ``now``."""
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class FakeMeter:
    """A meter whose level and mark are moved by hand; it writes down its calls."""

    lost = ""
    hooks_allocators = False
    running = True

    def __init__(
        self,
        level: int = 0,
        metric: str = RSS.name,
        method: Method = "kernel mark",
    ) -> None:
        """Begin at ``level``, with the mark there too."""
        self.metric = METRICS[metric]
        self.method = method
        self.now = level
        self.high = level
        self.unseen: int | None = 0
        self.calls: list[str] = []

    def move(self, level: int) -> None:
        """Let the level become ``level``."""
        self.now = level
        self.high = max(self.high, level)

    def touch(self, high: int) -> None:
        """Let the level rise to ``high`` and come back at once."""
        self.high = max(self.high, high)

    def start(self) -> None:
        """Write down the call."""
        self.calls.append("start")

    def stop(self) -> None:
        """Write down the call."""
        self.calls.append("stop")

    def restart(self) -> int:
        """Reset the mark to the level."""
        self.calls.append("restart")
        self.high = self.now
        return self.now

    def read(self) -> tuple[int, int]:
        """The level and the mark."""
        self.calls.append("read")
        return self.now, self.high

    def missed(self, start: int, high: int) -> int | None:  # noqa: ARG002  a Meter's
        """What a test says that the meter has missed."""
        return self.unseen

    def level(self) -> int:
        """The level."""
        self.calls.append("level")
        return self.now


class FakeProbe:
    """Answers with a number set by hand, takes time to do so, and counts its calls."""

    def __init__(self, clock: FakeClock, answer: Any = 0, cost: float = 0.0) -> None:
        """Begin with no call made."""
        self.clock = clock
        self.answer = answer
        self.cost = cost
        self.calls = 0
        self.then: Callable[[], None] = lambda: None

    def __call__(self) -> Any:
        self.calls += 1
        self.clock.advance(self.cost)
        self.then()
        return self.answer


@dataclass(frozen=True)
class FakeSlack:
    """Slack of which only the total matters."""

    total: int
    blocks: tuple[tuple[int, int], ...] = ()
    pools: int = 0
    pool_size: int = 0
    anywhere: int = 0
    malloc: int = 0
    arena_size: int = 0
    used: int = 0
    heap: int = 0
    explained: int = 0
    hooked: bool = False

    @property
    def small(self) -> int:
        """What is not in the C heap."""
        return self.total - self.malloc


class FakeFiller:
    """Does what a test says, or nothing, and writes down what it was called with."""

    def __init__(self, fill: Callable[[], bool] | None = None) -> None:
        """Begin with nothing filled."""
        self._fill = fill
        self.size = 0
        self.calls: list[tuple[object, ...]] = []

    def fill(self, *arguments: object) -> bool:
        """Write down the call, and do what the test says."""
        self.calls.append(arguments)
        if self._fill is None:
            return False
        self.size += 1
        return self._fill()

    def drop(self) -> None:
        """Write down that it was dropped."""
        self.size = 0


class FakeMarker:
    """A stream of allocations that only counts its boundaries."""

    def __init__(self) -> None:
        """Begin with no boundary set."""
        self.boundaries = 0

    def mark(self) -> int:
        """Set a boundary, and return its number."""
        self.boundaries += 1
        return self.boundaries - 1


@dataclass(frozen=True)
class FakeEvent:
    """One allocation or release, as memray's records have it."""

    address: int
    size: int
    allocator: int
    tid: int
    stack_id: int


def malloc(address: int, size: int, *, tid: int = 1, stack: int = 1) -> FakeEvent:
    """A block that is handed out."""
    return FakeEvent(address, size, MALLOC, tid, stack)


def free(address: int, *, tid: int = 1) -> FakeEvent:
    """A block that is given back."""
    return FakeEvent(address, 0, FREE, tid, 0)


def mmap(address: int, size: int, *, tid: int = 1, stack: int = 1) -> FakeEvent:
    """A mapping that is made."""
    return FakeEvent(address, size, MMAP, tid, stack)


def munmap(address: int, size: int, *, tid: int = 1) -> FakeEvent:
    """A mapping, or a part of one, that is given back."""
    return FakeEvent(address, size, MUNMAP, tid, 0)


@dataclass(frozen=True)
class FakeRecord:
    """An allocation record with a stack, innermost frame first."""

    stack: tuple[tuple[str, str, int], ...]
    size: int = 0
    n_allocations: int = 0

    def stack_trace(self, max_stacks: int) -> Sequence[tuple[str, str, int]]:
        """The innermost frames."""
        return self.stack[:max_stacks]


class FakeHost:
    """Measures a test: hands out one log, made when it is first asked for."""

    def __init__(self, make_log: Callable[[], Any], *, wants_stages: bool = True) -> None:
        """Begin without a log."""
        self._make_log = make_log
        self.wants_stages = wants_stages
        self.log: Any = None

    def stage_log(self) -> Any:
        """The log its stages go to."""
        if self.log is None:
            self.log = self._make_log()
        return self.log
