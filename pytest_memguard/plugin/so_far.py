"""What has been measured of the test that runs, as values for results and messages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_memguard.model.measurements import CallSite, Finding, PhaseName, StageReading
from pytest_memguard.model.results import Outcome

if TYPE_CHECKING:
    from pytest_memguard.measure.current_test import CurrentTest
    from pytest_memguard.measure.measurement import Measurement


class PhaseEnd(NamedTuple):
    """A phase that has just ended."""

    item: pytest.Item
    """The test."""
    phase: PhaseName
    """Which."""
    failed: bool
    """Whether the test fails anyway."""


class SoFar:
    """Reads what is known of the test that runs.

    Args:
        state: what is known of it.
        measurement: measures it.
        root: what paths are shown relative to, with a separator at its end.
    """

    def __init__(self, state: CurrentTest, measurement: Measurement, root: str) -> None:
        self.state = state
        self.measurement = measurement
        self._root = root

    def relative(self, sites: tuple[CallSite, ...]) -> tuple[CallSite, ...]:
        """Lines with their paths as pytest shows them."""
        return tuple(replace(site, file=site.file.removeprefix(self._root)) for site in sites)

    def stages(self) -> tuple[StageReading, ...]:
        """What was measured of its stages."""
        detail = self.measurement.detail
        readings = detail.stage_readings() if detail is not None else ()
        return tuple(replace(stage, lines=self.relative(stage.lines)) for stage in readings)

    def outcome(self, item: pytest.Item, findings: Sequence[Finding] = ()) -> Outcome:
        """What has been measured of the test in the middle of it, as if it had passed."""
        readings = self.measurement.phase_readings()
        torn_down = any(reading.name == "teardown" for reading in readings)
        return Outcome(
            nodeid=item.nodeid,
            phases=readings,
            stages=self.stages(),
            findings=tuple(findings),
            leak=self.state.leak,
            # what stays of imports counts whichever phase they were in
            imports=max(0, len(sys.modules) - self.state.modules)
            if torn_down
            else self.state.imports,
        )
