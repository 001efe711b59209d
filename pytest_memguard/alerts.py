"""The frozen values of alerts: levels of memory, and the tests that reached them."""

from __future__ import annotations

from typing import Final, Literal, get_args

from pytest_memguard.values import dataclass

Severity = Literal["info", "warning", "critical"]
"""How bad it is to reach a level."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the mildest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLevel:
    """A level of memory that is reported when a process reaches it."""

    size: int
    """Resident bytes."""
    severity: Severity
    """How bad that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A process that has reached a level."""

    severity: Severity
    """How bad that is."""
    limit: int
    """Resident bytes of the level."""
    highest: int
    """Highest resident bytes of the process by then."""
    worker: str
    """Name of the pytest-xdist worker; empty without one."""
    nodeid: str
    """The test in which it was reached; empty if it was before the first one."""
    phase: str
    """The phase of the test; empty without one."""
