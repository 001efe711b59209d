"""Finds who raised the level of a run's processes for good: tests, files, or none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_memguard.judge.raised_levels import RaisedLevels
from pytest_memguard.model.levels import LevelGrowth
from pytest_memguard.model.measurements import PhaseName
from pytest_memguard.model.results import Outcome


class _Process:
    """The course of one process.

    Args:
        level: resident bytes before its first test.
    """

    def __init__(self, level: int) -> None:
        self.start = level
        self.levels = RaisedLevels(level)


def level_growth(outcomes: Iterable[Outcome]) -> LevelGrowth | None:
    """Return what raised the level of all processes of a run for good.

    Args:
        outcomes: the results of tests, in the order in which they ran; read once.

    Returns:
        ``None`` if resident memory was not measured.
    """
    processes: dict[str, _Process] = {}
    for outcome in outcomes:
        for phase in outcome.phases:
            if phase.peak() is None:
                continue
            process = processes.get(outcome.worker)
            if process is None:
                process = processes[outcome.worker] = _Process(phase.level)
            process.levels.move(phase.level, "")
            process.levels.move(phase.level + phase.growth, _key(phase.name, outcome.nodeid))
    if not processes:
        return None
    return _summed(list(processes.values()))


def _key(phase: PhaseName, nodeid: str) -> str:
    return f"{'s' if phase == 'setup' else 't'}{nodeid}"


def _summed(processes: list[_Process]) -> LevelGrowth:
    """Add up what the tests of several processes raised."""
    raised: Counter[str] = Counter()
    for process in processes:
        for span in process.levels.spans:
            raised[span.nodeid] += span.size
    files: Counter[str] = Counter()
    for key, size in raised.items():
        if key:
            files[key[1:].partition("::")[0]] += size
    return LevelGrowth(
        start=sum(process.start for process in processes),
        end=sum(process.levels.level for process in processes),
        tests=_largest({key[1:]: n for key, n in raised.items() if key.startswith("t")}),
        setups=_largest({key[1:]: n for key, n in raised.items() if key.startswith("s")}),
        files=_largest(files),
        between=raised[""],
    )


def _largest(sizes: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(sizes.items(), key=lambda one: (-one[1], one[0])))
