"""The frozen values of isolated tests whose process died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.model.flights import Cause, Ending

Phase = Literal["setup", "call", "teardown"]
Stopped = Literal["timeout", "limit"]
"""Why memguard itself stopped a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How the process of an isolated test died."""

    cause: Cause | Stopped
    """What ended it."""
    phase: Phase
    """The phase of the test that lasted."""
    ending: Ending
    """What is known about its end."""
    seconds: float
    """Seconds since the start of the test."""
    level: int | None = None
    """Resident bytes at the start of the test; ``None`` if it did not get that far."""
    used: int | None = None
    """Highest resident bytes above that level; ``None`` if they are not known."""
    limit: int = 0
    """The limit on these in bytes; 0 if there is none."""
    timeout: float = 0.0
    """The most seconds that the test may take; 0 if there is no limit."""
    where: str = ""
    """Who set limit and timeout, for messages."""
    stack: tuple[str, ...] = ()
    """Lines of the Python stack at that moment, the innermost call first."""
