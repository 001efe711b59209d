"""Groups regressions by what has grown: the same line, holder or stage, or as much nearby."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.model.causes import Cause, CauseGroup
from pytest_memguard.model.measurements import CallSite, Finding
from pytest_memguard.model.results import Outcome
from pytest_memguard.sizes import MIB

LEAST_SHARE: Final = 0.7
"""Share of a test's growth that a line must hold at the peak to be its reason."""
_MOST_SHARE: Final = 1.3
"""A line that holds more than this share of the growth held a part of it before."""
_AS_MUCH: Final = 0.03
_AS_MUCH_BYTES: Final = MIB // 4
"""Readings of the same growth differ by no more than this share, or by these bytes."""


def line_text(file: str, line: int, function: str) -> str:
    """Return a source line as causes name it."""
    place = f"{file}:{line}" if line else file
    return f"{place} ({function})"


def grown_candidates(sites: Sequence[CallSite], growth: int) -> tuple[str, ...]:
    """Return the lines that may have made a test use more, the most likely first.

    Args:
        sites: the largest lines at the test's peak.
        growth: bytes by which the test is above its baseline value.

    Returns:
        Lines that hold about as much as the growth; if there are none, those that hold more.
    """
    large = [site for site in sites if site.line and site.size >= LEAST_SHARE * growth]
    near = [site for site in large if site.size <= _MOST_SHARE * growth]
    ranked = sorted(near or large, key=lambda site: abs(site.size - growth))
    return tuple(line_text(site.file, site.line, site.function) for site in ranked)


class _Group:
    """The tests that one cause has made larger, so far."""

    def __init__(self, nodeid: str, cause: Cause) -> None:
        self.first = nodeid
        self.lines = cause.lines
        self.holder, self.stage = cause.holder, cause.stage
        self.is_fill = cause.is_fill
        self.seen: dict[tuple[str, int, tuple[str, ...]], None] = {}
        self.failing: dict[str, int] = {}
        self.undecided: dict[str, int] = {}
        self.explaining: set[str] = set()

    @property
    def line(self) -> str:
        """The line that grew, if it is known."""
        return self.lines[0] if len(self.lines) == 1 else ""

    def add(self, nodeid: str, cause: Cause, *, fails: bool) -> None:
        """Add a test, and leave out the lines that it speaks against."""
        if not cause.first:
            self.explaining.add(nodeid)
        common = tuple(line for line in self.lines if line in cause.lines)
        self.lines = common or self.lines or cause.lines
        self.holder = self.holder or cause.holder
        self.stage = self.stage or cause.stage
        self.seen[_module(nodeid), cause.growth, cause.fixtures] = None
        (self.failing if fails else self.undecided)[nodeid] = cause.growth

    def has(self, nodeid: str, cause: Cause) -> bool:
        """Return whether a test is above its baseline value for the same reason."""
        if self.lines and cause.lines:
            return any(line in self.lines for line in cause.lines)
        for mine, other in ((self.holder, cause.holder), (self.stage, cause.stage)):
            if mine or other:
                return mine == other
        module, fixtures = _module(nodeid), set(cause.fixtures)
        return self.is_fill == cause.is_fill and any(
            _is_as_much(growth, cause.growth)
            and (where == module or not fixtures.isdisjoint(theirs))
            for where, growth, theirs in self.seen
        )

    def explained(self, nodeid: str, fixtures: Iterable[str]) -> Iterator[int]:
        """Yield by how much tests have grown that a test may be like, if each call uses more.

        Args:
            nodeid: the test.
            fixtures: the names of those that it uses.
        """
        module, own = _module(nodeid), set(fixtures)
        for where, growth, theirs in self.seen if not self.is_fill else ():
            if where == module or not own.isdisjoint(theirs):
                yield growth

    def value(self) -> CauseGroup:
        """Return what is known of it."""
        measured = (self.failing or self.undecided).values()
        # a line alone may have told that a test belongs here, whose peak slack hides
        growths = [growth for growth in measured if growth > 0] or [0]
        return CauseGroup(
            first=self.first,
            tests=tuple(sorted(self.failing)),
            undecided=tuple(sorted(self.undecided)),
            line=self.line,
            holder=self.holder,
            stage=self.stage,
            least=min(growths),
            most=max(growths),
        )


class CauseGroups:
    """Groups the regressions of a run, one after the other."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []

    def find(self, nodeid: str, cause: Cause) -> CauseGroup | None:
        """Return the group of a test; ``None`` if no test before has the same cause.

        Args:
            nodeid: the test.
            cause: what is known of its growth.
        """
        group = self._find(nodeid, cause)
        return None if group is None else group.value()

    def explained(
        self, nodeid: str, fixtures: Iterable[str], least_tests: int
    ) -> tuple[tuple[int, int], ...]:
        """Return by how much a test may grow for the reason that others have: least and most.

        Args:
            nodeid: the test.
            fixtures: the names of those that it uses.
            least_tests: so many tests must have failed because of a line that is known.
        """
        near: list[tuple[int, int]] = []
        sure = (one for one in self._groups if one.line and len(one.failing) >= least_tests)
        for growth in sorted(
            {growth for one in sure for growth in one.explained(nodeid, fixtures)}
        ):
            beside = _beside(growth)
            least, most = growth - beside, growth + beside
            if near and least <= near[-1][1]:
                least = near.pop()[0]
            near.append((least, most))
        return tuple(near)

    def add(self, nodeid: str, cause: Cause, *, fails: bool) -> CauseGroup:
        """Add a test to its group, or to a new one, and return that.

        Args:
            nodeid: the test.
            cause: what is known of its growth.
            fails: whether the test fails for it; otherwise it is undecided.
        """
        group = self._find(nodeid, cause)
        if group is None:
            group = _Group(nodeid, cause)
            self._groups.append(group)
        group.add(nodeid, cause, fails=fails)
        return group.value()

    def values(self) -> tuple[CauseGroup, ...]:
        """Return all groups in which a test fails, the largest first."""
        found = [group.value() for group in self._groups if group.failing]
        return tuple(sorted(found, key=lambda group: (-len(group.tests), group.first)))

    def _find(self, nodeid: str, cause: Cause) -> _Group | None:
        known = next((one for one in self._groups if cause.first in one.explaining), None)
        if known is not None:
            return known
        return next((one for one in self._groups if one.has(nodeid, cause)), None)


def cause_groups(outcomes: Iterable[Outcome]) -> tuple[CauseGroup, ...]:
    """Return the groups of a run, the largest first.

    Args:
        outcomes: the results of tests, from any number of processes.
    """
    groups = CauseGroups()
    found = [(outcome.nodeid, finding) for outcome in outcomes for finding in _caused(outcome)]
    # those that explain a cause, then those that refer to them, then those that may belong
    for nodeid, finding in sorted(found, key=_order):
        cause = finding.cause
        if cause is not None:
            groups.add(nodeid, cause, fails=finding.raised)
    return groups.values()


def _caused(outcome: Outcome) -> Iterator[Finding]:
    """Yield the findings of a test that may share a cause with others; one for each cause."""
    seen: set[Cause] = set()
    for finding in sorted(outcome.findings, key=lambda finding: not finding.raised):
        cause = finding.cause
        is_open = finding.rule == "undecided" and cause is not None and bool(cause.lines)
        if cause is None or not (finding.raised or is_open):
            continue
        if replace(cause, growth=0) not in seen:
            seen.add(replace(cause, growth=0))
            yield finding


def _order(found: tuple[str, Finding]) -> tuple[bool, bool]:
    finding = found[1]
    return (not finding.raised, finding.cause is not None and bool(finding.cause.first))


def _is_as_much(one: int, other: int) -> bool:
    return abs(one - other) <= _beside(max(one, other))


def _beside(growth: int) -> int:
    """Return by how many bytes another reading of the same growth may differ."""
    return max(_AS_MUCH_BYTES, int(_AS_MUCH * growth))


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]
