"""The frozen values of a watch: what other processes used, how it grew, and what happened."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal, TypeAlias

from pytest_memguard.sizes import MIB
from pytest_memguard.values import dataclass
from pytest_memguard.watch_levels import (
    SIGNAL_NAMES,
    SIZE_SIGNALS,
    Levels,
    WatchSignal,
)

GrowthState: TypeAlias = Literal["flat", "plateau", "growing", "undecided"]
Severity: TypeAlias = Literal["info", "warn", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warn", "critical")
EventKind: TypeAlias = Literal["ended", "restarted", "replaced", "followed", "threshold"]
Doubt: TypeAlias = Literal[
    "", "short", "slowing", "uneven", "unread", "uncollected", "unreported"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalGrowth:
    """How one signal moved under load."""

    signal: WatchSignal
    """The signal."""
    state: GrowthState
    """What its trace shows."""
    per_hour: float = 0.0
    """Growth per hour after the warm-up, in bytes or in number."""
    low: float = 0.0
    """Lower end of the 95 % interval."""
    high: float = 0.0
    """Upper end of it."""
    before: int = 0
    """Level at the end of the warm-up."""
    after: int = 0
    """Level at the end."""
    doubt: Doubt = ""
    """Why it is undecided; empty if it is not."""

    def __str__(self) -> str:
        return f"{self.name} {self.state}" + (
            f" by {self.rate_text()}" if self.state == "growing" else ""
        )

    @property
    def name(self) -> str:
        """Its name in texts."""
        return SIGNAL_NAMES[self.signal]

    def rate_text(self) -> str:
        """Return the growth per hour in words, with its interval."""
        low, middle, high = map(self._amount, (self.low, self.per_hour, self.high))
        unit = "MiB per hour" if self.signal in SIZE_SIGNALS else "per hour"
        return f"{middle} {unit} (95 %: {low} to {high})"

    def _amount(self, rate: float) -> str:
        value = rate / MIB if self.signal in SIZE_SIGNALS else rate
        text = f"{value:+,.1f}" if abs(value) < 100 else f"{value:+,.0f}"
        return text.replace("-0.0", "+0.0") if float(text.replace(",", "")) == 0 else text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WatchGrowth:
    """The verdict on a watch, or on a stage of it."""

    state: GrowthState
    """``flat``, ``plateau`` (it rose, and then stayed), ``growing`` or ``undecided``."""
    signals: tuple[SignalGrowth, ...] = ()
    """How each signal moved."""
    seconds: float = 0.0
    """Time that the verdict is based on, after the warm-up."""
    warm_up: float = 0.0
    """Seconds before that were left out."""
    samples: int = 0
    """Number of samples that the verdict is based on."""
    cpu_seconds: float = 0.0
    """Processor time that the processes used in that time, as far as it is known."""
    pid: int = 0
    """Number of the process that it is about."""
    doubt: Doubt = ""
    """Why it is undecided; empty if it is not."""

    def of(self, signal: WatchSignal) -> SignalGrowth | None:
        """Return how a signal moved; ``None`` if it was not read."""
        return next((one for one in self.signals if one.signal == signal), None)

    @property
    def growing(self) -> tuple[SignalGrowth, ...]:
        """The signals that grow."""
        return tuple(one for one in self.signals if one.state == "growing")

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        span = f"{self.seconds:,.1f} s after {self.warm_up:,.1f} s of warm-up"
        if self.state == "growing":
            rates = ", ".join(f"{one.name} {one.rate_text()}" for one in self.growing)
            return f"growing: {rates}, over {span}"
        if self.state == "undecided":
            return f"undecided: {DOUBTS[self.doubt]}"
        rss = self.of("rss")
        moved = "" if rss is None else f"rss {rss.rate_text()}, "
        return f"{self.state}: {moved}over {span}"


DOUBTS: Final[dict[Doubt, str]] = {
    "": "no reason is known",
    "short": "too few samples for a verdict; watch longer, or at a shorter interval",
    "slowing": "it grows, and more and more slowly; watch longer",
    "uneven": "it rises and falls, and ends higher; watch longer, under a steady load",
    "unread": "resident memory could not be read",
    "uncollected": "V8 has made too few full collections to distinguish growth from garbage; "
    "watch longer, or start Node.js with --expose-gc",
    "unreported": "no Node.js process has reported its memory",
}
"""Why a verdict is undecided, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """Something that happened during a watch."""

    seconds: float
    """When, in seconds since the start."""
    kind: EventKind
    """What happened."""
    pid: int
    """Number of the process."""
    former: int = 0
    """Number of the process whose place it has taken; 0 if there is none."""
    severity: Severity | None = None
    """Severity of a threshold."""
    threshold: str = ""
    """The threshold that was reached, as it was written."""
    value: int = 0
    """The value that reached it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process that was watched, from its first sample to its last."""

    pid: int
    """Its number."""
    command: str
    """Its command line, or its name."""
    start: float
    """Seconds from the start of the watch to its first sample."""
    end: float
    """Seconds to its last one."""
    ended: bool = False
    """Whether it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOfWatch:
    """A named part of a watch."""

    name: str
    """Its name."""
    start: float
    """Seconds from the start of the watch to its own."""
    end: float
    """Seconds to its end."""
    before: Levels
    """The reading at its start."""
    after: Levels
    """The reading at its end."""
    peak: Levels
    """The highest reading of each signal in it."""
    growth: WatchGrowth
    """The verdict on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationReading:
    """What a Node.js program used after so many of its iterations."""

    count: int
    """The iterations that were done."""
    of: int
    """All iterations, as the program has announced them; 0 if it has not."""
    seconds: float
    """When, in seconds since the start of the watch."""
    levels: Levels
    """The reading, of that process alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProcess:
    """One process of the tree."""

    pid: int
    """Its number."""
    name: str
    """The name of its program."""
    first: int
    """Resident bytes when it was first seen."""
    last: int
    """Resident bytes when it was last seen."""
    highest: int
    """Highest resident bytes that were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTrace:
    """The samples of a watch; neighbours are averaged when they become too many."""

    seconds: tuple[float, ...] = ()
    """When, since the start."""
    lives: tuple[int, ...] = ()
    """Which process, by its place among the lives."""
    cpu: tuple[float, ...] = ()
    """Processor seconds that the tree had used by then."""
    levels: dict[WatchSignal, tuple[float | None, ...]] = dataclasses.field(
        default_factory=dict
    )
    """The readings of each signal."""

    def points(
        self, signal: WatchSignal, life: int, start: float, end: float
    ) -> list[tuple[float, float]]:
        """Return when and what was read of a signal in one life, within a span of time."""
        rows = zip(self.seconds, self.lives, self.levels.get(signal, ()), strict=False)
        return [
            (at, level)
            for at, of, level in rows
            if of == life and start <= at <= end and level is not None
        ]

    def cpu_within(self, life: int, start: float, end: float) -> float:
        """Return the processor seconds that one life used within a span of time."""
        rows = zip(self.seconds, self.lives, self.cpu, strict=True)
        used = [cpu for at, of, cpu in rows if of == life and start <= at <= end]
        return max(0.0, used[-1] - used[0]) if used else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRecord:
    """All that is known of a watch."""

    target: str
    """What was watched, as the user named it."""
    started: str
    """When it began: UTC, ``2026-11-21T13:25:26Z``."""
    interval: float
    """Seconds between two samples, as requested."""
    kept_interval: float
    """The median of the seconds between two samples."""
    seconds: float
    """How long it lasted."""
    samples: int
    """Number of samples."""
    with_children: bool
    """Whether descendants count."""
    lives: tuple[Life, ...]
    """The processes, one after another."""
    trace: WatchTrace
    """The samples."""
    first: Levels
    """The first reading."""
    last: Levels
    """The latest reading."""
    peak: Levels
    """The highest reading of each signal."""
    growth: WatchGrowth
    """The verdict."""
    stages: tuple[StageOfWatch, ...] = ()
    """Its named parts."""
    events: tuple[WatchEvent, ...] = ()
    """What happened, in order."""
    processes: tuple[WatchedProcess, ...] = ()
    """The processes of the tree, the one that grew most first."""
    begun: int = 0
    """Descendants that were first seen after the first sample."""
    gone: int = 0
    """Descendants that ended."""
    gaps: tuple[tuple[str, str], ...] = ()
    """What could not be measured, and why."""
    iterations: tuple[IterationReading, ...] = ()
    """Readings after a tenth of a Node.js program's iterations, two tenths, and so on."""
    snapshots: tuple[str, ...] = ()
    """Files with heap snapshots of a Node.js process that grew, the earlier one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthChange:
    """How the growth of one signal has changed."""

    before: SignalGrowth
    """The growth in the earlier recording."""
    after: SignalGrowth
    """The growth now."""

    @property
    def flattened(self) -> bool:
        """Whether it grew, and does not any more."""
        return self.before.state == "growing" and self.after.state in {"flat", "plateau"}

    @property
    def is_open(self) -> bool:
        """Whether it grows, or it is not known whether what grew has stopped."""
        return self.after.state == "growing" or (
            self.before.state == "growing" and not self.flattened
        )
