"""The values of causes: what regressions of one run have in common."""

from __future__ import annotations

from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is known of the reason why a test is above its baseline value."""

    growth: int
    """Bytes above the baseline value."""
    lines: tuple[str, ...] = ()
    """Source lines that may have grown, as ``file:line (function)``; a single one is the line
    that grew."""
    holder: str = ""
    """What holds more than it did, if the first call fills more for good."""
    is_fill: bool = False
    """Whether the first call fills more for good; otherwise each call uses more."""
    stage: str = ""
    """The stage that grew most."""
    fixtures: tuple[str, ...] = ()
    """Fixtures that the test uses."""
    first: str = ""
    """The test whose failure explains the same cause; empty for that test itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseGroup:
    """Tests of a run that are above their baseline values for the same reason."""

    first: str
    """The test whose failure explains it."""
    tests: tuple[str, ...]
    """The tests that fail for it, by node id."""
    undecided: tuple[str, ...] = ()
    """Undecided tests that it may have made larger, by node id."""
    line: str = ""
    """The source line that grew, if it is known."""
    holder: str = ""
    """What holds more than it did, if that is known."""
    stage: str = ""
    """The stage that grew most, if that is known."""
    least: int
    """Bytes by which the test that grew least is above its baseline value."""
    most: int
    """Bytes by which the test that grew most is above its baseline value."""
