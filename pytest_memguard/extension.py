"""What other plugins implement: checks of their own, and renderers for other formats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from pytest_memguard.metrics import Metric
from pytest_memguard.model import PHASES, PhaseName, Run
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A marker that a test has, or that its class or module has for it."""

    name: str
    """Of the marker."""
    args: tuple[Any, ...] = ()
    """Positional arguments."""
    kwargs: Mapping[str, Any]
    """Named arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestInfo:
    """What a check may ask about a test, to find out whether it has to do with it."""

    __test__ = False  # no test, though its name begins like one

    nodeid: str
    """pytest's name for it."""
    markers: tuple[Marker, ...] = ()
    """Those that hold for it, the closest first."""
    fixtures: tuple[str, ...] = ()
    """Names of the fixtures that it uses."""

    def marker(self, name: str) -> Marker | None:
        """The closest marker of a name, if there is one."""
        return next((one for one in self.markers if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was measured of one metric, in its unit."""

    metric: Metric
    """What was counted."""
    before: int
    """The level when it began."""
    after: int
    """The level when it ended."""
    highest: int
    """The highest level that is known of."""
    lost: str = ""
    """Why these numbers mean nothing; empty where they mean something."""


class Readings:
    """What was measured of a test so far.

    Args:
        phases: of each phase that has ended, in order: readings by the name of their metric.
    """

    def __init__(self, phases: Mapping[PhaseName, Mapping[str, Reading]]) -> None:
        self._phases = phases

    def of(self, metric: str, phase: PhaseName = "call") -> Reading | None:
        """What was measured in one phase; None if it did not run."""
        return self._phases.get(phase, {}).get(metric)

    def whole(self, metric: str) -> Reading | None:
        """What was measured from the start of setup until now; None if nothing was."""
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
    """What a check has to say against a test, which fails with it."""

    text: str
    """One sentence: what was measured, what is allowed, and where that was set."""


class Check:
    """One more reason to look at tests, to derive from.

    Attributes:
        name: what its failures and its section are called; in small letters, without blanks.
        markers: a line for each of its markers, as ``pytest --markers`` lists them:
            ``fd_budget(limit): fail the test that leaves more descriptors open``.
    """

    name: str
    markers: Sequence[str] = ()

    def plan(self, test: TestInfo) -> Any:  # noqa: ARG002  others use it
        """What is needed to judge a test later; None if the check has nothing to do with it.

        Args:
            test: with its markers.

        Raises:
            ConfigError: if a marker makes no sense; the run does not start then.
        """
        return None

    def metrics(self, plan: Any) -> Collection[str]:  # noqa: ARG002  likewise
        """Names of the metrics that have to be measured for a test.

        Args:
            plan: what `plan` has returned.
        """
        return ()

    def judge(
        self,
        plan: Any,  # noqa: ARG002  likewise
        readings: Readings,  # noqa: ARG002
        phase: PhaseName,  # noqa: ARG002
    ) -> Iterable[Violation]:
        """What there is to say against a test when its call, and its teardown, have ended.

        Args:
            plan: what `plan` has returned.
            readings: what was measured so far.
            phase: what has just ended.
        """
        return ()

    def section(self, failures: Sequence[tuple[str, str]]) -> Sequence[str]:  # noqa: ARG002
        """Lines for the end of the run, under the check's name; none for no section.

        Args:
            failures: node id and sentence of each violation of the run.
        """
        return ()


class Renderer(Protocol):
    """Writes a whole run in one format: ``--mem-output NAME=PATH``."""

    name: str
    """What the option calls the format."""

    def render(self, run: Run) -> str:
        """The text of the file."""
