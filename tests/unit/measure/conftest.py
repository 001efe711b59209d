"""A clock that the objects under test take for the real one."""

from __future__ import annotations

from tests.support.clock_fixtures import clock

__all__ = ["clock"]
