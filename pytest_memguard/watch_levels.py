"""What is read of a watched program: the signals, and one reading of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from pytest_memguard.units import Count, Size

ProcessSignal: TypeAlias = Literal["rss", "fds", "threads", "connections", "children"]
NodeSignal: TypeAlias = Literal[
    "heap_total",
    "heap_used",
    "external",
    "array_buffers",
    "heap_kept",
    "external_kept",
    "uncollected",
]
WatchSignal: TypeAlias = ProcessSignal | NodeSignal
PROCESS_SIGNALS: Final[tuple[ProcessSignal, ...]] = (
    *("rss", "fds", "threads", "connections", "children"),
)
"""What is read of every process and its descendants; the most conclusive comes first."""
NODE_SIGNALS: Final[tuple[NodeSignal, ...]] = (
    *("heap_total", "heap_used", "external", "array_buffers"),
)
"""What Node.js programs report of themselves (`process.memoryUsage`)."""
KEPT_SIGNALS: Final[dict[WatchSignal, NodeSignal]] = {
    "heap_used": "heap_kept",
    "external": "external_kept",
}
"""Two of these as they were after the latest full collection: a verdict rests on that."""
HIDDEN_SIGNALS: Final[tuple[NodeSignal, ...]] = (*KEPT_SIGNALS.values(), "uncollected")
"""What no table shows."""
SIGNALS: Final[tuple[WatchSignal, ...]] = (*(*PROCESS_SIGNALS, *NODE_SIGNALS, *HIDDEN_SIGNALS),)
"""All signals."""
JUDGED_SIGNALS: Final[tuple[WatchSignal, ...]] = (*PROCESS_SIGNALS, *KEPT_SIGNALS)
"""Those whose growth decides a verdict."""
SIZE_SIGNALS: Final[frozenset[WatchSignal]] = frozenset(("rss", *NODE_SIGNALS, *HIDDEN_SIGNALS))
"""Those in bytes."""
SIGNAL_NAMES: Final[dict[WatchSignal, str]] = {
    **{name: name for name in PROCESS_SIGNALS},
    "heap_total": "heapTotal",
    "heap_used": "heapUsed",
    "external": "external",
    "array_buffers": "arrayBuffers",
    "heap_kept": "heapKept",
    "external_kept": "externalKept",
    "uncollected": "uncollected",
}
"""Their names in texts: those of Node.js are its own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Levels:
    """One reading of each signal, or the highest of each; ``None`` if it cannot be read."""

    rss: Size | None = None
    """Resident memory; what several of the processes share counts once."""
    fds: Count | None = None
    """Open file descriptors (handles on Windows)."""
    threads: Count | None = None
    """Threads."""
    connections: Count | None = None
    """TCP connections, without sockets that listen."""
    children: Count | None = None
    """Descendants that live."""
    heap_total: Size | None = None
    """Bytes that V8 has for JavaScript objects; it and those below of Node.js programs."""
    heap_used: Size | None = None
    """Bytes of JavaScript objects, of which some may be garbage."""
    external: Size | None = None
    """Bytes of C++ objects that belong to JavaScript objects."""
    array_buffers: Size | None = None
    """Bytes of ArrayBuffers and Buffers; they are part of `external`."""
    heap_kept: Size | None = None
    """`heap_used` after the latest full collection."""
    external_kept: Size | None = None
    """`external` after the latest full collection."""
    uncollected: Size | None = None
    """Bytes of both in heaps that had no full collection yet, beside others that had one."""

    def of(self, signal: WatchSignal) -> int | None:
        """Return one of them."""
        value: int | None = getattr(self, signal)
        return value

    def __iter__(self) -> Iterator[int | None]:
        """Return all of them, in the order of `SIGNALS`."""
        return map(self.of, SIGNALS)

    def __repr__(self) -> str:
        values = zip(SIGNALS, self, strict=True)
        shown = (
            f"{signal}={value!r}"
            for signal, value in values
            if value is not None or signal in PROCESS_SIGNALS
        )
        return f"Levels({', '.join(shown)})"


def levels_of(values: Mapping[Any, int | None]) -> Levels:
    """Return readings of some signals; the others are not known."""
    known: dict[str, Any] = {
        signal: Size(value) if signal in SIZE_SIGNALS else Count(value)
        for signal in SIGNALS
        if (value := values.get(signal)) is not None
    }
    return Levels(**known)


def with_more(levels: Levels, more: Mapping[Any, int | None]) -> Levels:
    """Return readings, some of them replaced."""
    return levels_of({**dict(zip(SIGNALS, levels, strict=True)), **more})


def above(levels: Levels, first: Levels) -> Levels:
    """Return by how much each reading is above another, as far as both are known."""
    pairs = zip(SIGNALS, levels, first, strict=True)
    return levels_of({s: a - b for s, a, b in pairs if a is not None and b is not None})
