"""The frozen values of the leak check: what was counted, what was concluded, who did it."""

from __future__ import annotations

from typing import Final, Literal

from pytest_memguard.values import dataclass

Signal = Literal[
    "blocks",
    "C heap",
    "USS",
    "open files",
    "Python threads",
    "native threads",
    "child processes",
    "asyncio tasks",
    "uncollectable objects",
]
"""What is counted: blocks and resources by number, C heap and USS in bytes."""
BYTE_SIGNALS: Final[frozenset[Signal]] = frozenset({"C heap", "USS"})
"""Signals in bytes; the others are numbers of something."""
MEMORY_SIGNALS: Final[frozenset[Signal]] = frozenset({"blocks", "C heap", "USS"})
"""Signals that show memory; without any of them a check is blind to it."""
STARTS_TRACEMALLOC: Final = "the test starts tracemalloc, so not all lines may be known"
"""Note of a blame: CPython itself keeps some bytes of every start of tracemalloc."""
LeakState = Literal["clean", "leaking", "settling", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """So many calls, and how far every signal moved over them."""

    calls: int
    """Calls in this round."""
    growth: tuple[tuple[Signal, int], ...]
    """Signal and how far it moved; signals that were not read are absent."""

    def of(self, signal: Signal) -> int | None:
        """How far one signal moved, if it was read."""
        return next((moved for name, moved in self.growth if name == signal), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast one signal grows."""

    signal: Signal
    """Which."""
    per_call: float
    """Growth per call."""
    low: float
    """Lower end of the interval for it."""
    high: float
    """Upper end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the judge concluded from a series of rounds."""

    state: LeakState
    """clean, leaking, settling or unclear."""
    calls: int
    """Calls it rests on, warm-up excluded."""
    rates: tuple[Rate, ...] = ()
    """The signals that grow, the most telling first."""
    reason: str = ""
    """Why, in words, where the state alone does not say it."""
    rounds: tuple[Round, ...] = ()
    """The series."""

    def rate_of(self, signal: Signal) -> float:
        """How much of a signal each call keeps; nought if it does not grow."""
        return next((rate.per_call for rate in self.rates if rate.signal == signal), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakLine:
    """A place that allocates blocks which stay, in step with the number of calls."""

    file: str
    """Source file."""
    line: int
    """Line in it, from 1."""
    function: str
    """Name of the function."""
    count: int
    """Blocks that stayed."""
    size: int
    """Their bytes."""
    native: tuple[str, ...] = ()
    """C frames under the Python line, innermost first."""
    caller: str = ""
    """File and line of the tested project that came to it, where it is an installed one's."""
    left: tuple[tuple[str, int], ...] = ()
    """What else it left behind, and how many: open files, say, or items of the holder."""
    of_python: int = 0
    """How many of the blocks are from Python's allocators."""
    small: int = 0
    """Bytes of those that are too small for the C heap: they lie in Python's arenas."""
    block: int = 0
    """Bytes of each block, if they are all alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeGrowth:
    """Objects of one type that became more with every call."""

    type: str
    """Its name, with its module unless it is a builtin."""
    count: int
    """Objects more after the calls."""
    size: int
    """Their own bytes, without what they refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPath:
    """The shortest chain of references from a root to one survivor."""

    steps: tuple[str, ...]
    """In words, from the root to the survivor: ``module app.cache``, ``_REGISTRY`` (dict)."""
    holder: str = ""
    """The step that grows, without counts, keys or addresses: ``app.cache._REGISTRY``."""
    bounded: str = ""
    """Why the growth ends by itself: ``functools.lru_cache(maxsize=128)``; usually empty."""
    remark: str = ""
    """What a person should know of it: held by the value of its own weak key."""
    limit: int = 0
    """Entries at most of a cache that is filling; otherwise 0."""
    enforced: bool = False
    """Whether the interpreter itself keeps to that limit."""
    never_evicts: bool = False
    """Whether nothing ever takes an entry out of the holder to make room for another."""
    owner: str = ""
    """The part of the test runner that keeps it for the whole session: ``plugin syrupy``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Who did it."""

    calls: int
    """Calls made under the instruments."""
    lines: tuple[LeakLine, ...] = ()
    """Allocating lines, the largest first."""
    types: tuple[TypeGrowth, ...] = ()
    """Types that grew, the largest first."""
    path: RetentionPath | None = None
    """What holds the survivors; None if no Python object does."""
    notes: tuple[str, ...] = ()
    """What could not be found out, and why."""
    fingerprint: str = ""
    """Names the leak across runs and machines."""
    earlier_fingerprint: str = ""
    """How earlier versions named it, if otherwise."""
    per_call: float | None = None
    """Bytes that stay with each call, measured over all calls; None if nothing tells."""
    is_cut_short: bool = False
    """Whether there was no time to look for everything."""
    traced: bool = False
    """Whether the test traces allocations itself, so that not all lines may be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a part of the test runner keeps of every test, by design: no leak of the test."""

    owner: str
    """Which: ``plugin syrupy``, ``pytest``."""
    holder: str
    """What holds it."""
    rates: tuple[tuple[Signal, float], ...]
    """How much of each signal, per call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReading:
    """What the leak check has to say about one test or one operation."""

    verdict: Verdict
    """Its conclusion."""
    blame: Blame | None = None
    """Who did it, where that was looked into."""
    accepted: str = ""
    """Why it does not fail the test: a known leak, an ignored one; usually empty."""
    calls: int = 0
    """Calls made in all, warm-up and instruments included."""
    seconds: float = 0.0
    """What the check took."""
    kept: tuple[Kept, ...] = ()
    """What the test runner keeps, which was not counted."""
    more: tuple[LeakReading, ...] = ()
    """Further leaks of the same test, each with its own rates, cause and name."""

    @property
    def parts(self) -> tuple[LeakReading, ...]:
        """Every leak of the test, this one first."""
        return (self, *self.more)

    @property
    def fails(self) -> bool:
        """Whether the test leaks something that is not accepted."""
        leaks = self.verdict.state == "leaking"
        return leaks and not all(part.accepted for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLeak:
    """A leak that was accepted."""

    fingerprint: str
    """Its name."""
    holder: str = ""
    """What holds it, for people."""
    line: str = ""
    """File and function that allocate it, for people."""
    tests: tuple[str, ...] = ()
    """The tests that showed it when it was accepted."""


def ignored_by(where: str, pattern: str) -> str:
    """Return the reason for accepting a leak that a pattern matches.

    Args:
        where: what has the pattern: "the marker's ignore", "mem_leak_ignore".
        pattern: as it is written there.
    """
    return f"{where} has the pattern {pattern!r}"
