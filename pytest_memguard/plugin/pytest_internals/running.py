"""pytest's own way to run a test, or a phase of one, for which there is no public name."""

from __future__ import annotations

from _pytest.runner import call_and_report, runtestprotocol

__all__ = ["call_and_report", "runtestprotocol"]
