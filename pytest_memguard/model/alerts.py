"""The frozen values of alerts: levels that are reported, and the tests that reached them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from pytest_memguard.sizes import format_size
from pytest_memguard.values import dataclass

Severity = Literal["info", "warning", "critical"]
"""How bad it is to reach a level."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the mildest on."""
AlertSignal: TypeAlias = Literal[
    "worker rss", "worker uss", "worker fds", "worker threads", "worker children", "run rss"
]
"""What is read, of each process that runs tests or of the whole run."""
ALERT_SIGNALS: Final[tuple[AlertSignal, ...]] = get_args(AlertSignal)
WORKER_RSS: Final[AlertSignal] = "worker rss"
RUN_RSS: Final[AlertSignal] = "run rss"
COUNTED: Final[dict[AlertSignal, str]] = {
    "worker fds": "open files",
    "worker threads": "threads",
    "worker children": "child processes",
}
"""Signals that do not count bytes, with what they count."""


def alert_amount(signal: AlertSignal, value: int) -> str:
    """Return a level of a signal with its unit: "1.00 GiB", "120 open files"."""
    unit = COUNTED.get(signal)
    return format_size(value) if unit is None else f"{value:,} {unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLevel:
    """A level that is reported when a process, or the run, reaches it."""

    signal: AlertSignal = WORKER_RSS
    """Of what."""
    size: int
    """Bytes, or a number of things."""
    severity: Severity
    """How bad that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A process, or a run, that has reached a level."""

    signal: AlertSignal
    """What has reached it."""
    severity: Severity
    """How bad that is."""
    limit: int
    """The level: bytes, or a number of things."""
    highest: int
    """The highest reading by then."""
    worker: str
    """Name of the pytest-xdist worker; empty without one."""
    nodeid: str
    """The test in which it was reached; empty if it was before the first one.

    Of a whole run it is the test that had most of the memory, as far as that is known.
    """
    phase: str
    """The phase of the test; empty without one."""
