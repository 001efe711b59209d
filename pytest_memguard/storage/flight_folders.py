"""Finds the folders that runs have left behind, because they were killed or lost a worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pytest_memguard.codecs.flight_codecs import LOST_CODEC
from pytest_memguard.formats import Json, other_format
from pytest_memguard.model.flights import Flight, LostWorker
from pytest_memguard.storage.files import read_text
from pytest_memguard.storage.flight_records import read_flight
from pytest_memguard.storage.run_folder import (
    FORMAT,
    LOCK_FILE,
    LOST_FILE,
    REPORTED_FILE,
    RUN_FILE,
    SUFFIX,
    is_locked,
    remove,
)
from pytest_memguard.values import dataclass

MOST_KEPT: Final = 5
"""Number of lost runs that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRun:
    """A run that ended otherwise than by itself, or lost a worker."""

    path: Path
    """Its folder."""
    about: Json
    """What ``run.json`` says; empty if it cannot be read."""
    lost: tuple[LostWorker, ...]
    """Workers whose loss the run itself has seen."""
    flights: tuple[Flight, ...]
    """The records of processes that were not reported."""
    problems: tuple[str, ...]
    """What cannot be read."""
    reported: bool
    """Whether it was reported."""


def lost_runs(
    parent: Path, is_alive: Callable[[Json], bool], *, with_reported: bool = True
) -> list[LostRun]:
    """Return the runs that have left their folder behind, the oldest first.

    Args:
        parent: the folder of all runs; it need not exist.
        is_alive: returns whether the process of a ``run.json`` still exists.
        with_reported: whether to include those that were reported.
    """
    runs = [
        _lost_run(path, about, problem)
        for path in _folders(parent)
        if with_reported or not (path / REPORTED_FILE).exists()
        for about, problem in [_json(path / RUN_FILE)]
        if not (is_alive(about) or is_locked(path / LOCK_FILE))
    ]
    return sorted(runs, key=_age)


def _age(run: LostRun) -> tuple[float, str]:
    time = run.about.get("time")
    return float(time) if isinstance(time, (int, float)) else 0.0, run.path.name


def read_run_folder(path: Path) -> LostRun:
    """Return what the folder of one run has, whether that still lasts or not."""
    return _lost_run(path, *_json(path / RUN_FILE))


def is_run_folder(path: Path) -> bool:
    """Return whether a folder is that of a run."""
    is_named = any((path / name).exists() for name in (RUN_FILE, LOST_FILE))
    return is_named or any(path.glob(f"*{SUFFIX}"))


def prune(parent: Path, most: int = MOST_KEPT) -> None:
    """Remove the oldest runs that were reported, except those with unreadable files.

    Args:
        parent: the folder of all runs; it need not exist.
        most: the number of runs to keep.
    """
    reported = [path for path in _folders(parent) if (path / REPORTED_FILE).exists()]
    for path in reported[: max(0, len(reported) - most)]:  # their names begin with the time
        if not read_run_folder(path).problems:
            remove(path)


def prune_abandoned(parent: Path, is_alive: Callable[[Json], bool]) -> None:
    """Remove the folders beside this one whose projects do not exist any more.

    Only among temporary files there are folders of several projects beside one another.

    Args:
        parent: the folder of all runs of a project, among temporary files.
        is_alive: returns whether the process of a ``run.json`` still exists.
    """
    of_user = parent.name.rsplit("-", 2)[0]  # the rest names the project
    for other in parent.parent.glob(f"{of_user}-*"):
        runs = lost_runs(other, is_alive)
        if len(runs) == len(_folders(other)) and not any(map(_has_root, runs)):
            for run in runs:
                remove(run.path)


def _has_root(run: LostRun) -> bool:
    """Return whether the project of a run exists, as far as is known."""
    root = run.about.get("root")
    return not isinstance(root, str) or Path(root).exists()


def _folders(parent: Path) -> list[Path]:
    try:
        names = [path for path in sorted(parent.iterdir()) if not path.name.startswith(".")]
        return [path for path in names if path.is_dir() and is_run_folder(path)]
    except OSError:
        return []


def _lost_run(path: Path, about: Json, problem: str) -> LostRun:
    problems = [problem] if problem else []
    lost: tuple[LostWorker, ...] = ()
    if (path / LOST_FILE).exists():
        data, problem = _json(path / LOST_FILE)
        try:
            lost = tuple(LOST_CODEC.read(entry) for entry in data.get("lost_workers", ()))
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"{path / LOST_FILE} cannot be read ({type(error).__name__}: {error})"
        problems += [problem] if problem else []
    known = {Path(one.record).name for one in lost}
    flights = [
        read_flight(file) for file in sorted(path.glob(f"*{SUFFIX}")) if file.name not in known
    ]
    return LostRun(
        path=path,
        about=about,
        lost=lost,
        flights=tuple(flight for flight in flights if flight.pid),
        problems=(*problems, *(p for f in flights if not f.pid for p in f.problems)),
        reported=(path / REPORTED_FILE).exists(),
    )


def _json(path: Path) -> tuple[Json, str]:
    """Return the content of a file of ours, and why it cannot be read."""
    try:
        data = json.loads(read_text(path))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            number = data.get("format") if isinstance(data, dict) else None
            return {}, f"{path} has {other_format(number, FORMAT)}"
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        return {}, f"{path} cannot be read ({reason})"
    return data, ""
