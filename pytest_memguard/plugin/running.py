"""What is known of the test that runs, for all that have a word to say about it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_memguard.model import CallSite, Finding, Outcome, PhaseName, StageReading

if TYPE_CHECKING:
    from pytest_memguard.leaks import LeakReading
    from pytest_memguard.plugin.look import Look
    from pytest_memguard.plugin.measuring import Measurement


class Ended(NamedTuple):
    """A phase that has just ended."""

    item: pytest.Item
    """The test."""
    measurement: Measurement
    """What measured it."""
    phase: PhaseName
    """Which."""
    failed: bool
    """Whether the test fails anyway."""


class Running:
    """The test that runs.

    Args:
        root: what paths are shown relative to, with a separator at its end.

    Attributes:
        look: measures the test; ``None`` where nobody does, or a quick look is enough.
        leak: what its leak check said, if there was one.
        imports: modules its call has loaded.
        modules: how many there were before its setup.
        markers: its own when its call began.
        is_taken: whether its setup is being measured, or it is being repeated.
        phase: what lasts of a test that nobody measures so far, where that is known.
        item: that test.
        again: whether it is run once more, in a child.
    """

    def __init__(self, root: str) -> None:
        self.look: Look | None = None
        self.leak: LeakReading | None = None
        self.imports = 0
        self.modules = 0
        self.markers: Collection[pytest.Mark] = ()
        self.is_taken = False
        self.phase: PhaseName | None = None
        self.item: pytest.Item | None = None
        self.again = False
        self._root = root

    def relative(self, sites: tuple[CallSite, ...]) -> tuple[CallSite, ...]:
        """Lines with their paths as pytest shows them."""
        return tuple(replace(site, file=site.file.removeprefix(self._root)) for site in sites)

    def stages(self, measurement: Measurement | None) -> tuple[StageReading, ...]:
        """What was measured of its stages."""
        readings = measurement.stage_readings() if measurement is not None else ()
        return tuple(replace(stage, lines=self.relative(stage.lines)) for stage in readings)

    def so_far(
        self, item: pytest.Item, measurement: Measurement, findings: Sequence[Finding] = ()
    ) -> Outcome:
        """What has been measured of the test in the middle of it, as if it had passed."""
        readings = measurement.phase_readings()
        torn_down = any(reading.name == "teardown" for reading in readings)
        return Outcome(
            nodeid=item.nodeid,
            phases=readings,
            stages=self.stages(measurement),
            findings=tuple(findings),
            leak=self.leak,
            # what stays of imports counts whichever phase they were in
            imports=max(0, len(sys.modules) - self.modules) if torn_down else self.imports,
        )
