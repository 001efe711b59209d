"""Processes of our own that live on beside tests, and are none of a test's descendants."""

from __future__ import annotations

from typing import Final

PIDS: Final[set[int]] = set()
"""Their numbers; what they start is left out as well."""
