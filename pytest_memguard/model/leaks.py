"""The frozen values of the leak check: rounds, verdict, cause, and known leaks."""

from __future__ import annotations

import re
from typing import Final, Literal

from pytest_memguard.sizes import format_number, format_size
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
"""What is read between calls: blocks and resources in numbers, C heap and USS in bytes."""
BYTE_SIGNALS: Final[frozenset[Signal]] = frozenset({"C heap", "USS"})
"""Signals in bytes; the others are numbers of things."""
MEMORY_SIGNALS: Final[frozenset[Signal]] = frozenset({"blocks", "C heap", "USS"})
"""Signals of memory; a check without any of them cannot see memory leaks."""
STARTS_TRACEMALLOC: Final = "the test starts tracemalloc, so not all lines may be known"
"""A note on a cause: CPython itself keeps some bytes each time tracemalloc starts."""
NOT_FOLLOWED: Final = (
    "there was no time to follow objects one by one, so a line may be that of an object whose "
    "memory was used again"
)
"""A note on a cause whose lines are those that allocated the memory first."""
_KEY: Final = re.compile(r"\['[^'\]]*'\]|\[-?\d+\]")
LeakState = Literal["clean", "leaking", "settling", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A number of calls, and how far each signal moved in them."""

    calls: int
    """The number of calls."""
    growth: tuple[tuple[Signal, int], ...]
    """Signals and how far they moved; signals that were not read are missing."""

    def of(self, signal: Signal) -> int | None:
        """Return how far a signal moved; ``None`` if it was not read."""
        return next((moved for name, moved in self.growth if name == signal), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast one signal grows per call."""

    signal: Signal
    """The signal."""
    per_call: float
    """Growth per call."""
    low: float
    """Lower end of its interval of 95 %."""
    high: float
    """Upper end of its interval of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on a series of rounds."""

    state: LeakState
    """clean, leaking, settling or undecided."""
    calls: int
    """Number of calls that the verdict rests on, without the warm-up."""
    rates: tuple[Rate, ...] = ()
    """The signals that grow, the most conclusive first."""
    reason: str = ""
    """The reason in words, if the state alone does not say it."""
    rounds: tuple[Round, ...] = ()
    """The rounds."""

    def rate_of(self, signal: Signal) -> float:
        """Return how much of a signal each call keeps; 0 if it does not grow."""
        return next((rate.per_call for rate in self.rates if rate.signal == signal), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakLine:
    """A source line whose allocations stay, in proportion to the number of calls."""

    file: str
    """Source file."""
    line: int
    """Number of the line, from 1."""
    function: str
    """Name of the function."""
    count: int
    """Number of blocks that stayed."""
    size: int
    """Their bytes."""
    native: tuple[str, ...] = ()
    """C functions called from the Python line, innermost first."""
    caller: str = ""
    """File and line in the tested project that called it, if the line is in an installed
    package."""
    through: str = ""
    """File and line that only passed the call on, as a decorator does, if the innermost did."""
    left: tuple[tuple[str, int], ...] = ()
    """What else it left behind and how many, such as open files or items of the holder."""
    of_python: int = 0
    """How many of the blocks are from Python's allocators."""
    small: int = 0
    """Bytes of blocks that are in Python's arenas, not in the C heap."""
    block: int = 0
    """Bytes of most blocks, if all are about as large."""
    typical: int = 0
    """Bytes of each of those blocks that every call leaves, on average; it is not stored."""
    through_ffi: bool = False
    """Whether ctypes or cffi called the C functions; it is not stored."""
    tables: int = 0
    """Number of tables that were there before, whose bytes alone have become more; it is not
    stored."""
    in_tables: int = 0
    """Bytes that those which are not in arenas have become more by; it is not stored."""
    chunks: int = 0
    """Bytes of the chunks of the C heap that its blocks are in; it is not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeGrowth:
    """A type of which there are more objects with every call."""

    type: str
    """Its name, with its module unless it is a builtin."""
    count: int
    """How many more objects there are after the calls."""
    size: int
    """Bytes of these objects, without those that they refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPath:
    """The shortest chain of references from a root to an object that survived."""

    steps: tuple[str, ...]
    """The steps in words, from the root to the object: ``module app.cache``, ``_REGISTRY``
    (dict)."""
    holder: str = ""
    """The step that grows, without counts or addresses: ``app.cache._REGISTRY``. Of keys, only
    those that the source code spells out are part of it."""
    bounded: str = ""
    """Why growth ends by itself: ``functools.lru_cache(maxsize=128)``; usually empty."""
    remark: str = ""
    """A remark for the user, such as: held by the value of its own weak key."""
    limit: int = 0
    """Largest number of entries of a cache that is filling; otherwise 0."""
    enforced: bool = False
    """Whether the interpreter itself enforces that limit."""
    never_evicts: bool = False
    """Whether the holder never removes an entry to make room for another."""
    owner: str = ""
    """The part of the test runner that keeps it for the whole session: ``plugin syrupy``."""
    of_globals: bool = False
    """Whether the holder is a module, which gets more globals."""

    @property
    def holder_words(self) -> str:
        """Return the holder in words: ``globals of app.cache`` for a module."""
        return f"globals of {self.holder}" if self.of_globals else self.holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The cause of a leak."""

    calls: int
    """Number of calls under the tracker."""
    lines: tuple[LeakLine, ...] = ()
    """Allocating lines, the largest first."""
    more_lines: int = 0
    """Number of further lines, which are smaller and not among them."""
    types: tuple[TypeGrowth, ...] = ()
    """Types of which there are more objects, the largest first."""
    path: RetentionPath | None = None
    """What holds the objects that survived; ``None`` if no Python object does."""
    notes: tuple[str, ...] = ()
    """What could not be found out, and why."""
    fingerprint: str = ""
    """A name of the leak that is the same in every run and on every machine."""
    earlier_fingerprint: str = ""
    """The fingerprint that earlier versions gave it, if it differs."""
    per_call: float | None = None
    """Bytes that stay per call, measured over all calls; ``None`` if they are not known."""
    is_cut_short: bool = False
    """Whether there was not enough time to find everything."""
    traced: bool = False
    """Whether the test traces allocations itself, so that not all lines may be known."""
    pool: str = ""
    """The C function that may have handed on memory from line to line: of each line it is not
    known whether it keeps anything; usually empty."""
    unnamed: int = 0
    """Number of Python's blocks that stay and have no line worth naming; it is not stored."""
    unnamed_small: int = 0
    """Bytes of those in Python's arenas; they are not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a part of the test runner keeps of every test by design: no leak of the test."""

    owner: str
    """The part: ``plugin syrupy``, ``pytest``."""
    holder: str
    """The object that holds it."""
    rates: tuple[tuple[Signal, float], ...]
    """Signals, and how much of each is kept per call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReading:
    """The result of the leak check for one test or one operation."""

    verdict: Verdict
    """The verdict."""
    diagnosis: Diagnosis | None = None
    """The cause; ``None`` if it was not looked for."""
    accepted: str = ""
    """Why the leak does not fail the test; usually empty."""
    calls: int = 0
    """Number of all calls, including the warm-up and those under the tracker."""
    seconds: float = 0.0
    """Duration of the check."""
    kept: tuple[Kept, ...] = ()
    """What the test runner keeps, which was not counted."""
    more: tuple[LeakReading, ...] = ()
    """Further leaks of the same test, each with its own rates, cause and fingerprint."""

    @property
    def parts(self) -> tuple[LeakReading, ...]:
        """Every leak of the test, this one first."""
        return (self, *self.more)

    @property
    def fails(self) -> bool:
        """Whether the test has a leak that is not accepted."""
        leaks = self.verdict.state == "leaking"
        return leaks and not all(part.accepted for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLeak:
    """An accepted leak."""

    fingerprint: str
    """Its fingerprint."""
    holder: str = ""
    """What holds it, for display."""
    line: str = ""
    """File and function that allocate it, for display."""
    tests: tuple[str, ...] = ()
    """The tests that showed it when it was accepted."""


def amount_of(signal: Signal, value: float) -> str:
    """Return growth of a signal in words: "4.0 KiB", "0.333", "1,204".

    Args:
        signal: what has grown.
        value: by how much, in bytes or things.
    """
    if signal in BYTE_SIGNALS:
        return format_size(value)
    return format_number(value)


def without_keys(holder: str) -> str:
    """Return the name of a holder with ``[...]`` for each key.

    Args:
        holder: such as ``app.STORES['users'].documents``.
    """
    return _KEY.sub("[...]", holder)


def ignored_by(where: str, pattern: str) -> str:
    """Return the reason for accepting a leak that a pattern matches.

    Args:
        where: what has the pattern: "the marker's ignore", "mem_leak_ignore".
        pattern: as it is written there.
    """
    return f"{where} has the pattern {pattern!r}"
