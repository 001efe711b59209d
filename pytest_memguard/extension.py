"""What other plugins implement: checks, and renderers for other formats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from pytest_memguard.model.measurements import PHASES, PhaseName
from pytest_memguard.model.metrics import Metric
from pytest_memguard.model.results import Run
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A marker of a test, or of its class or module."""

    name: str
    """Name of the marker."""
    args: tuple[Any, ...] = ()
    """Positional arguments."""
    kwargs: Mapping[str, Any]
    """Named arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestInfo:
    """What a check can find out about a test to decide whether it applies to it."""

    __test__ = False  # no test, though its name begins like one

    nodeid: str
    """pytest's name for the test."""
    markers: tuple[Marker, ...] = ()
    """The markers that apply to the test, the closest first."""
    fixtures: tuple[str, ...] = ()
    """Names of the fixtures that the test uses."""

    def marker(self, name: str) -> Marker | None:
        """Return the closest marker of a name; ``None`` if there is none."""
        return next((one for one in self.markers if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The measurement of one metric, in the metric's unit."""

    metric: Metric
    """The metric."""
    before: int
    """The level at the start."""
    after: int
    """The level at the end."""
    highest: int
    """The highest level that was read."""
    lost: str = ""
    """Why the numbers are not valid; empty if they are."""


class Readings:
    """The measurements of a test so far.

    Args:
        phases: for each phase that has ended, in order: readings by the name of their metric.
    """

    def __init__(self, phases: Mapping[PhaseName, Mapping[str, Reading]]) -> None:
        self._phases = phases

    def of(self, metric: str, phase: PhaseName = "call") -> Reading | None:
        """Return the reading of one phase; ``None`` if the phase did not run."""
        return self._phases.get(phase, {}).get(metric)

    def whole(self, metric: str) -> Reading | None:
        """Return a reading from the start of setup until now; ``None`` without any."""
        ran = [self._phases[phase] for phase in PHASES if phase in self._phases]
        several = [readings[metric] for readings in ran if metric in readings]
        if not several:
            return None
        first, last = several[0], several[-1]
        return Reading(
            metric=first.metric,
            before=first.before,
            after=last.after,
            highest=max(reading.highest for reading in several),
            lost=next((reading.lost for reading in several if reading.lost), ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Why a check fails a test."""

    text: str
    """One sentence: what was measured, what is allowed, and where the limit was set."""


class Check:
    """Base class of a check: one more reason to measure tests and to fail them.

    Attributes:
        name: what its failures and its section are called: lower-case letters without blanks.
        markers: one line for each of its markers, as ``pytest --markers`` lists them:
            ``fd_budget(limit): fail the test that leaves more descriptors open``.
    """

    name: str
    markers: Sequence[str] = ()

    def plan(self, test: TestInfo) -> Any:
        """Return what is needed to judge a test later; ``None`` if the check ignores it.

        Args:
            test: the test, with its markers.

        Raises:
            ConfigError: if a marker makes no sense; then the run does not start.
        """
        return None

    def metrics(self, plan: Any) -> Collection[str]:
        """Return the names of the metrics to measure for a test.

        Args:
            plan: what `plan` returned.
        """
        return ()

    def judge(
        self,
        plan: Any,
        readings: Readings,
        phase: PhaseName,
    ) -> Iterable[Violation]:
        """Return the violations of a test when its call or its teardown has ended.

        Args:
            plan: what `plan` returned.
            readings: what was measured so far.
            phase: the phase that has just ended.
        """
        return ()

    def section(self, failures: Sequence[tuple[str, str]]) -> Sequence[str]:
        """Return lines for a section at the end of the run; no lines for no section.

        Args:
            failures: node id and sentence of each violation of the run.
        """
        return ()


class Renderer(Protocol):
    """Writes a whole run in one format: ``--mem-output NAME=PATH``."""

    name: str
    """What the option calls the format."""

    def render(self, run: Run) -> str:
        """Return the text of the file."""
