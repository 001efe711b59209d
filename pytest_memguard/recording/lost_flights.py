"""Works out how earlier runs were lost, from what they have left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_memguard.formats import Json
from pytest_memguard.judge.lost_worker import lost_worker
from pytest_memguard.model.flights import Ending, Flight, LostWorker
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.probes.process_identity import identity_of
from pytest_memguard.storage.flight_folders import (
    LostRun,
    lost_runs,
)


def is_alive(about: Json) -> bool:
    """Return whether the process of a run still exists.

    Args:
        about: what the run wrote about itself.
    """
    identity, pid = about.get("identity"), about.get("pid")
    return isinstance(pid, int) and bool(identity) and identity_of(pid) == identity


def earlier_runs(parents: Sequence[Path], *, with_reported: bool = True) -> list[LostRun]:
    """Return the runs that were lost, or have lost a worker, the oldest first.

    Args:
        parents: folders of runs.
        with_reported: whether to include those that were reported.
    """
    return [run for p in parents for run in lost_runs(p, is_alive, with_reported=with_reported)]


def lost_in(run: LostRun) -> list[LostWorker]:
    """Return what is known about every process of a run that was lost, the largest first.

    Args:
        run: the run; its process does not exist any more.
    """
    ending = _ending_since(run.about)
    left = [lost_worker(flight, ending) for flight in run.flights]
    left.sort(key=lambda lost: -(lost.level or 0))
    return [*run.lost, *left]


def _ending_since(about: Json) -> Ending:
    """Return what the out-of-memory counter says about a run whose end was not recorded."""
    before, counter = about.get("oom_kills"), read_oom_counter()
    kills: int | None = None
    source = "its end was not seen"
    here = str(about.get("identity", "")).rsplit(" ", 2)[0]
    same = here and here == identity_of(os.getpid()).rsplit(" ", 2)[0]
    if isinstance(before, int) and counter.kills is not None:
        if same and counter.place == about.get("oom_place") and counter.kills >= before:
            kills, source = counter.kills - before, counter.source
        else:
            source = "it was in another container, or the machine was started again"
    elif counter.kills is None:
        source = counter.source
    return Ending(oom_kills=kills, oom_source=source)


def without_record(worker: str, ending: Ending, problem: str) -> LostWorker:
    """Return what is known about a lost worker that has no flight record.

    Args:
        worker: its name.
        ending: what is known about its end.
        problem: why there is no record.
    """
    flight = Flight(path="", worker=worker, problems=(problem,))
    return lost_worker(flight, ending, now=time.time())
