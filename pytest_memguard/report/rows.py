"""A run or a baseline as flat rows, one for each test and metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

from pytest_memguard.escapes import well_formed
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.leak_sizes import bytes_of_all
from pytest_memguard.model.measurements import Peak, PhaseReading
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.model.results import Outcome, Run
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The numbers of one test in one metric."""

    test: str
    """Node id."""
    metric: str
    """rss, heap, python, tree, children, or the metric of a plugin."""
    peak_bytes: int
    """Peak of the call; if there was no call, the higher peak of setup and teardown."""
    upper_bound_bytes: int
    """Upper bound of the peak; equal to it if it is exact."""
    spread_bytes: int | None = None
    """Difference of the highest and the lowest reading; only in a baseline."""
    growth_bytes: int | None = None
    """Resident memory the test left behind; only with rss."""
    seconds: float | None = None
    """Duration of the measured phase; only in a run."""
    budget_bytes: int | None = None
    """The tightest limit on the whole call in this metric."""
    result: str = ""
    """passed, failed, ...; only in a run."""
    findings: int = 0
    """How many limits were broken or could not be checked."""
    leak: str = ""
    """Verdict of the leak check, if there was one."""
    leak_bytes_per_call: float | None = None
    """Bytes that a call leaves behind, if the test was checked and they are known."""
    system: str = ""
    """Operating system."""
    machine: str = ""
    """Architecture."""
    implementation: str = ""
    """CPython, PyPy."""
    python: str = ""
    """Version of the interpreter."""

    @property
    def environment(self) -> str:
        """The environment, in words."""
        words = (self.system, self.machine, self.implementation, self.python)
        return " ".join(word for word in words if word)


COLUMNS: Final = tuple(field.name for field in fields(Row))
"""Names of the columns, in order."""


def rows_of(numbers: Run | Baseline) -> list[Row]:
    """The rows of a run or of a baseline, the largest peak first."""
    if isinstance(numbers, Baseline):
        return rows_of_baseline(numbers)
    return rows_of_run(numbers)


def rows_of_run(run: Run) -> list[Row]:
    """Return the rows of a run, the largest peak first.

    A test without numbers has no row. Numbers of a test from several processes are one row, the
    highest.
    """
    highest: dict[tuple[str, str], Row] = {}
    for outcome in run.outcomes:
        for row in _of_outcome(run, outcome):
            key = (row.test, row.metric)
            if key not in highest or highest[key].peak_bytes < row.peak_bytes:
                highest[key] = row
    return _ordered(highest.values())


def rows_of_baseline(baseline: Baseline) -> list[Row]:
    """The rows of a baseline, the largest peak first."""
    return _ordered(
        Row(
            test=well_formed(nodeid),
            metric=environment.metric,
            peak_bytes=entry.peak,
            upper_bound_bytes=max(entry.ceiling, entry.peak),
            spread_bytes=entry.spread,
            growth_bytes=entry.growth if metric_named(environment.metric).is_resident else None,
            leak_bytes_per_call=entry.leak,
            system=environment.system,
            machine=environment.machine,
            implementation=environment.implementation,
            python=environment.python,
        )
        for environment, entries in baseline.environments.items()
        for nodeid, entry in entries.items()
    )


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(
        rows, key=lambda row: (-row.peak_bytes, row.test, row.metric, row.environment)
    )


def _of_outcome(run: Run, outcome: Outcome) -> Iterable[Row]:
    environment, leak = run.environment, outcome.leak
    system, _, machine = environment.platform.partition(" ")
    for phase, peak in _peaks(outcome):
        resident = metric_named(peak.metric).is_resident
        yield Row(
            test=well_formed(outcome.nodeid),
            metric=peak.metric,
            peak_bytes=peak.value,
            upper_bound_bytes=max(peak.high, peak.value) + (peak.unseen or 0),
            growth_bytes=outcome.growth if resident else None,
            seconds=phase.seconds,
            budget_bytes=_budget(outcome, peak),
            result=outcome.result,
            findings=sum(1 for f in outcome.findings if f.budget.metric == peak.metric),
            leak=leak.verdict.state if leak is not None and resident else "",
            leak_bytes_per_call=_left(outcome) if resident else None,
            system=system,
            machine=machine,
            implementation=environment.implementation,
            python=environment.python,
        )


def _peaks(outcome: Outcome) -> Sequence[tuple[PhaseReading, Peak]]:
    """Return the peaks of the call; without a call, the highest of the other phases."""
    call = outcome.phase("call")
    phases = outcome.phases if call is None else (call,)
    highest: dict[str, tuple[PhaseReading, Peak]] = {}
    for phase in phases:
        for peak in phase.peaks:
            if peak.metric not in highest or highest[peak.metric][1].value < peak.value:
                highest[peak.metric] = (phase, peak)
    return tuple(highest.values())


def _budget(outcome: Outcome, peak: Peak) -> int | None:
    return min(
        (
            b.limit
            for b in outcome.budgets
            if b.key == (peak.metric, "call", None) and b.threads == "all"
        ),
        default=None,
    )


def _left(outcome: Outcome) -> float | None:
    """Return the bytes that a call leaves behind; ``None`` without a verdict."""
    if outcome.leak is None or outcome.leak.verdict.state not in {"clean", "leaking"}:
        return None
    return 0.0 if outcome.leak.verdict.state == "clean" else bytes_of_all(outcome.leak)
