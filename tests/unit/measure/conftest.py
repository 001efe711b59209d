"""A clock that the objects under test take for the real one, and quick collections."""

from __future__ import annotations

from tests.support.clock_fixtures import clock, quick_collections

__all__ = ["clock", "quick_collections"]
