"""Merges runs of the same suite, from one machine or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_memguard.model.aborts import Abort
from pytest_memguard.model.results import Environment, Outcome, Run, Totals

_WORST_FIRST: Final = ("error", "failed", "xpassed", "xfailed", "passed", "skipped")


def alike(environments: Sequence[Environment]) -> bool:
    """Return whether numbers of these environments can be in one run.

    Versions of pytest and of this package may differ, and so may micro versions of Python.
    """
    kinds = {
        (
            environment.implementation,
            tuple(environment.python.split(".")[:2]),
            environment.platform,
            environment.allocator,
        )
        for environment in environments
    }
    return len(kinds) <= 1


def merge_runs(runs: Mapping[str, Run]) -> tuple[Run, tuple[str, ...]]:
    """Merge several runs into one.

    Args:
        runs: runs by a short name, which is put before the names of their workers; their
            environments are alike.

    Returns:
        The run, and the tests that are in several of them. Of each such test the worst result
        is kept, and of equal results the highest peak.
    """
    kept: dict[str, list[Outcome]] = {}
    source: dict[str, str] = {}
    twice: dict[str, None] = {}
    for name, run in runs.items():
        for nodeid, outcomes in _by_test(name, run).items():
            if nodeid in kept:
                twice[nodeid] = None
                if min(map(_rank, kept[nodeid])) <= min(map(_rank, outcomes)):
                    continue
            kept[nodeid], source[nodeid] = outcomes, name
    first = next(iter(runs.values()))
    merged = Run(
        environment=first.environment,
        settings=_settings(runs),
        gaps=tuple(dict.fromkeys(gap for run in runs.values() for gap in run.gaps)),
        outcomes=tuple(outcome for outcomes in kept.values() for outcome in outcomes),
        totals=_totals(runs),
        leak_strict=any(run.leak_strict for run in runs.values()),
        lost=tuple(
            replace(lost, worker=_worker(name, lost.worker))
            for name, run in runs.items()
            for lost in run.lost
        ),
        abort=_abort(runs),
        alerts=tuple(
            replace(alert, worker=_worker(name, alert.worker))
            for name, run in runs.items()
            for alert in run.alerts
        ),
    )
    return merged, tuple(twice)


def _abort(runs: Mapping[str, Run]) -> Abort | None:
    """Return the stop of the run that used most, of those that were stopped."""
    aborts = [(name, run.abort) for name, run in runs.items() if run.abort is not None]
    if not aborts:
        return None
    name, abort = max(aborts, key=lambda pair: pair[1].used)
    parts = (replace(part, worker=_worker(name, part.worker)) for part in abort.parts)
    return replace(abort, parts=tuple(parts))


def _by_test(name: str, run: Run) -> dict[str, list[Outcome]]:
    """Return the results of a run by node id: several workers may have run one test."""
    found: dict[str, list[Outcome]] = {}
    for outcome in run.outcomes:
        named = replace(outcome, worker=_worker(name, outcome.worker))
        found.setdefault(outcome.nodeid, []).append(named)
    return found


def _worker(name: str, worker: str) -> str:
    return f"{name}/{worker}" if worker else name


def _rank(outcome: Outcome) -> tuple[int, int]:
    place = _WORST_FIRST.index(outcome.result) if outcome.result in _WORST_FIRST else 0
    return place, -(outcome.peak.value if outcome.peak is not None else 0)


def _settings(runs: Mapping[str, Run]) -> tuple[tuple[str, str], ...]:
    """Return every setting; if runs differ, each value with the run that has it."""
    values: dict[str, dict[str, str]] = {}
    for name, run in runs.items():
        for setting, value in run.settings:
            values.setdefault(setting, {})[name] = value
    return tuple(
        (
            setting,
            next(iter(by_run.values()))
            if len(by_run) == len(runs) and len(set(by_run.values())) == 1
            else "; ".join(f"{value} in {name}" for name, value in by_run.items()),
        )
        for setting, by_run in values.items()
    )


def _totals(runs: Mapping[str, Run]) -> tuple[Totals, ...]:
    """Return the totals of each process, then their sums."""
    processes: list[Totals] = []
    for name, run in runs.items():
        workers = [totals for totals in run.totals if totals.worker]
        processes += [
            replace(totals, worker=_worker(name, totals.worker))
            for totals in workers or run.totals
        ]
    whole = Totals(
        worker="",
        tests=sum(totals.tests for totals in processes),
        start=sum(totals.start for totals in processes),
        end=sum(totals.end for totals in processes),
        highest=sum(totals.highest for totals in processes),
        overhead=sum(totals.overhead for totals in processes),
    )
    return (*processes, whole)
