"""The frozen values of the history: runs and readings as they are stored and read back."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Final

from pytest_memguard.model.metrics import RSS
from pytest_memguard.values import dataclass

STEP_LEAST_VALUES: Final = 8
"""The least number of values for a step; in so few only an obvious one is found."""
STEP_SHARE: Final = 0.05
STEP_FLOOR_BYTES: Final = 1 << 20
"""Changes below this share of the level, or below so many bytes, are not steps."""
_URL: Final = re.compile(r"[A-Za-z][\w+.-]*://")
# as far as the last @: a password may have any sign in it, and one too many hidden does no harm
_BEHIND_USER: Final = re.compile(r"(://[^:/@?#]*):(.*)@")
# where a path begins that is surely one; a share of Windows has no user and no password
_BEGINS_PATH: Final = re.compile(r"[A-Za-z]:[\\/]|/(?!/)|\.{1,2}[\\/]|~")
# too few slashes behind the scheme, a scheme of a database, a user with a password on a host
_LIKE_URL: Final = re.compile(
    r"[\w+.-]{2,}:[\\/]|(?:postgres|sqlite|mysql|mariadb)[\w+.-]*:|.*://|.*:.*@.*[\\/]",
    re.DOTALL,
)
_IN_QUERY: Final = re.compile(r"((?:pass|pwd|secret|token)[^=&]*=)([^&]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLocation:
    """Where a history is stored; shown without its password."""

    text: str = field(repr=False)
    """The path of a SQLite file, or a URL as SQLAlchemy takes it."""

    def __str__(self) -> str:
        if self.is_half_url:
            return "(not shown: it may hold a password)"
        return without_password(self.text) if self.is_url else self.text

    @property
    def is_url(self) -> bool:
        """Whether it names a server, not a file."""
        return _URL.match(self.text) is not None

    @property
    def is_half_url(self) -> bool:
        """Whether it was meant to be a URL but is not one: "postgresql:/user:secret@host"."""
        if self.is_url or _BEGINS_PATH.match(self.text):
            return False
        several = re.search(r"[?&\s]", self.text)  # as in "host=db password=secret"
        secret = several and _IN_QUERY.search(self.text)
        return bool(_LIKE_URL.match(self.text) or secret)


def without_password(url: str) -> str:
    """Return a URL without its password, to be shown."""
    return _IN_QUERY.sub(r"\1***", _BEHIND_USER.sub(r"\1:***@", url))


def passwords_in(url: str) -> list[str]:
    """Return the parts of a URL that must not be shown."""
    found = [*_BEHIND_USER.findall(url), *_IN_QUERY.findall(url)]
    return [secret for _, secret in found if secret]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The commit that was tested, as far as git or the CI service reports it."""

    name: str = ""
    """The full hash; empty if unknown."""
    branch: str = ""
    """Name of the branch; empty if unknown."""
    dirty: bool | None = None
    """Whether tracked files were changed; ``None`` if unknown."""
    reason: str = ""
    """Why some of it is unknown; usually empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One stored run."""

    number: int
    """Its number in the history, from 1."""
    ended: str
    """When it ended: UTC, ``2026-11-21T13:25:26Z``."""
    commit: Commit
    """The commit that was tested."""
    environment: str
    """The environment within which numbers can be compared: ``Linux x86_64, CPython 3.11``."""
    status: int
    """pytest's exit status."""
    aborted: str
    """Why the run did not finish; empty if it did."""
    tests: int
    """The number of tests with readings, including tests whose process died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReading:
    """The numbers of one test in one stored run."""

    run: int
    """Number of the run."""
    nodeid: str
    """pytest's name for the test."""
    outcome: str
    """passed, failed, skipped, xfailed, xpassed, error or crashed."""
    finding: str = ""
    """The rule of ours that failed the test, if one did: over-budget, regression, leaking."""
    metric: str = RSS.name
    """What was counted."""
    peak: int | None = None
    """Bytes; ``None`` if it was not measured."""
    ceiling: int | None = None
    """Bytes the peak cannot exceed; ``None`` if it was not measured."""
    growth: int | None = None
    """Resident bytes the test left behind; ``None`` if it was not measured."""
    imports: int = 0
    """Modules that its call loaded for the first time."""
    leak: str = ""
    """The verdict of the leak check; empty if there was none."""
    seconds: float = 0.0
    """How long it took, setup and teardown included."""
    worker: str = ""
    """xdist's name for the process; empty without xdist."""
    death: str = ""
    """How its process died, as far as that is known: "crashed (SIGSEGV)"; usually empty."""
    children: int | None = None
    """Peak bytes of its descendants in one phase; ``None`` if they were not measured."""
    need: int | None = None
    """Bytes with which it was admitted; ``None`` if it did not ask for memory."""
    waited: float | None = None
    """Seconds for which it waited for memory; ``None`` if it did not ask for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The readings of one test in all runs of a commit."""

    run: PastRun
    """The first of these runs."""
    value: int | None
    """The median of the peaks in bytes; ``None`` if none can be judged."""
    readings: tuple[PastReading, ...]
    """The readings, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A position in a series where its level changed."""

    at: int
    """Index of the first value on the new level."""
    before: float
    """The median of the values before it, back to the previous change."""
    after: float
    """The median of the values from it on, up to the next change."""

    @property
    def share(self) -> float:
        """The change as a share of the level before."""
        return (self.after - self.before) / self.before if self.before else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The history of one test in one environment."""

    nodeid: str
    """pytest's name for the test."""
    environment: str
    """The environment of its numbers."""
    points: tuple[Point, ...]
    """One for each commit, in order."""
    steps: tuple[tuple[Point, ChangePoint], ...] = ()
    """Where its level changed, in order, with the first point on the new level."""

    @property
    def judged(self) -> int:
        """How many points have a value."""
        return sum(point.value is not None for point in self.points)
