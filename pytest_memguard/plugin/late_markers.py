"""Markers that tests get while they run, when it is too late to measure what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_memguard.escapes import one_line

if TYPE_CHECKING:
    import pytest


TOO_LATE: Final = (
    "the test added the marker during its call, when measuring had begun; a fixture can add it "
    "in time"
)
_SHOWN: Final = 10


def write_unheeded(reporter: pytest.TerminalReporter, late: list[str]) -> None:
    """Say which markers had no effect, because nothing was measured in the whole run.

    Args:
        reporter: the terminal reporter of pytest.
        late: tests and names of markers, as `late_markers` returns them.
    """
    reporter.section("memory")
    for line in late[:_SHOWN]:
        reporter.line(
            f"{one_line(line)} was not checked: it was added while the tests ran, and no test "
            "had a marker of memguard's when they were collected (not-measured)"
        )
    if len(late) > _SHOWN:
        reporter.line(f"... and {len(late) - _SHOWN} more")
